#include "worker/transport/blob_transfer.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "common/status_macros.h"
#include "worker/transport/retry.h"

namespace attune::transport {
namespace {

// Blobs in one call. The server allows more; smaller calls lose less when a
// connection breaks.
constexpr size_t kDigestsPerCall = 1'000;
constexpr size_t kBytesPerPut = size_t{64} << 20;
// A call moves at most a model (gigabytes) over a slow network.
constexpr absl::Duration kTransferTimeout = absl::Hours(1);

absl::Status Damaged(absl::string_view digest, absl::string_view what) {
  return Error(absl::StatusCode::kDataLoss, "BLOB_DAMAGED",
               absl::StrCat("the server sent ", what, " for the blob ", digest,
                            "; its store is damaged"));
}

// One GetBlobs call for digests[*next …]; advances *next past each blob that
// `receive` has taken. An error of `receive` goes to *receive_error.
absl::Status GetOnce(
    ServerConnection& connection, const std::vector<std::string>& digests,
    size_t end, size_t* next,
    const std::function<absl::Status(size_t, std::string)>& receive,
    absl::Status* receive_error) {
  const size_t begin = *next;
  v1::GetBlobsRequest request;
  for (size_t i = begin; i < end; ++i) request.add_digests(digests[i]);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kTransferTimeout));
  StopSignal::Scope scope(connection.stop(), context);
  auto reader = connection.worker_stub().GetBlobs(&context, request);
  v1::GetBlobsResponse response;
  std::string bytes;
  while (reader->Read(&response)) {
    connection.ChunkMoved();
    absl::Status status;
    if (*next == end ||
        static_cast<size_t>(response.index()) != *next - begin) {
      status = Damaged(digests[std::min(*next, end - 1)], "an extra blob");
    } else if (bytes.append(response.chunk()); response.last()) {
      status = Sha256Hex(bytes) == digests[*next]
                   ? receive(*next, std::move(bytes))
                   : Damaged(digests[*next], "other bytes");
      bytes.clear();
      if (status.ok()) ++*next;
    }
    if (!status.ok()) {
      *receive_error = std::move(status);
      context.TryCancel();
      reader->Finish().IgnoreError();
      return absl::OkStatus();
    }
  }
  ATTUNE_RETURN_IF_ERROR(connection.EndOfCall(reader->Finish()));
  if (*next != end) return Damaged(digests[*next], "nothing");
  return absl::OkStatus();
}

// One PutBlobs call.
absl::Status PutOnce(ServerConnection& connection,
                     const std::string& lease_token,
                     const std::vector<const Blob*>& blobs) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kTransferTimeout));
  StopSignal::Scope scope(connection.stop(), context);
  v1::PutBlobsResponse response;
  auto writer = connection.worker_stub().PutBlobs(&context, &response);
  v1::PutBlobsRequest request;
  request.set_lease_token(lease_token);
  bool open = true;
  for (size_t i = 0; open && i < blobs.size(); ++i) {
    const Blob& blob = *blobs[i];
    request.set_digest(blob.digest);
    request.set_size_bytes(static_cast<int64_t>(blob.bytes.size()));
    size_t at = 0;
    // An empty blob is one message without bytes.
    do {
      const absl::string_view chunk = blob.bytes.substr(at, kMaxChunkBytes);
      request.set_chunk(std::string(chunk));
      open = writer->Write(request);
      connection.ChunkMoved();
      at += chunk.size();
      request.Clear();
    } while (open && at < blob.bytes.size());
  }
  writer->WritesDone();
  return connection.EndOfCall(writer->Finish());
}

}  // namespace

absl::Status GetBlobs(
    ServerConnection& connection, const std::vector<std::string>& digests,
    const std::function<absl::Status(size_t, std::string)>& receive) {
  size_t next = 0;
  while (next < digests.size()) {
    const size_t end = std::min(next + kDigestsPerCall, digests.size());
    absl::Status receive_error;
    ATTUNE_RETURN_IF_ERROR(Retry(connection.stop(), "GetBlobs", [&] {
      return GetOnce(connection, digests, end, &next, receive, &receive_error);
    }));
    ATTUNE_RETURN_IF_ERROR(receive_error);
  }
  return absl::OkStatus();
}

absl::StatusOr<PutCounts> PutMissingBlobs(ServerConnection& connection,
                                          const std::string& lease_token,
                                          const std::vector<Blob>& blobs) {
  absl::flat_hash_map<absl::string_view, const Blob*> by_digest;
  std::vector<std::string> digests;
  for (const Blob& blob : blobs) {
    if (by_digest.emplace(blob.digest, &blob).second) {
      digests.push_back(blob.digest);
    }
  }
  PutCounts counts;
  for (size_t begin = 0; begin < digests.size(); begin += kDigestsPerCall) {
    const std::vector<std::string> part(
        digests.begin() + begin,
        digests.begin() + std::min(begin + kDigestsPerCall, digests.size()));
    std::vector<std::string> missing;
    ATTUNE_RETURN_IF_ERROR(Retry(connection.stop(), "FindMissingBlobs", [&] {
      absl::StatusOr<std::vector<std::string>> found =
          connection.FindMissingBlobs(part);
      if (found.ok()) missing = *std::move(found);
      return found.status();
    }));
    std::vector<const Blob*> group;
    size_t group_bytes = 0;
    const auto flush = [&] {
      if (group.empty()) return absl::OkStatus();
      ATTUNE_RETURN_IF_ERROR(Retry(connection.stop(), "PutBlobs", [&] {
        return PutOnce(connection, lease_token, group);
      }));
      counts.sent_count += static_cast<int64_t>(group.size());
      counts.sent_bytes += static_cast<int64_t>(group_bytes);
      group.clear();
      group_bytes = 0;
      return absl::OkStatus();
    };
    for (const std::string& digest : missing) {
      const auto found = by_digest.find(digest);
      if (found == by_digest.end()) continue;
      group.push_back(found->second);
      group_bytes += found->second->bytes.size();
      if (group_bytes >= kBytesPerPut) ATTUNE_RETURN_IF_ERROR(flush());
    }
    ATTUNE_RETURN_IF_ERROR(flush());
  }
  return counts;
}

}  // namespace attune::transport
