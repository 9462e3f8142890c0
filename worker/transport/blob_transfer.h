// Blobs between the worker and the server: images, tensors, caches.

#ifndef ATTUNE_WORKER_TRANSPORT_BLOB_TRANSFER_H_
#define ATTUNE_WORKER_TRANSPORT_BLOB_TRANSFER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/transport/server_connection.h"

namespace attune::transport {

// Gives each of `digests`, any number of them, to `receive` with its index,
// in order, after checking that the bytes have that digest. A stream that
// breaks goes on where it was. Ends with the first error of `receive`;
// NOT_FOUND when the server lacks one, DATA_LOSS (reason BLOB_DAMAGED) when
// what it sends is another blob.
absl::Status GetBlobs(
    ServerConnection& connection, const std::vector<std::string>& digests,
    const std::function<absl::Status(size_t index, std::string bytes)>&
        receive);

// A blob to store; does not own its bytes.
struct Blob {
  std::string digest;
  absl::string_view bytes;
};

// How much PutMissingBlobs had to send.
struct PutCounts {
  int64_t sent_count = 0;
  int64_t sent_bytes = 0;
};

// Sends those of `blobs` that the server lacks, each once, and returns when it
// has stored them durably. Tries again while the server cannot be reached;
// ABORTED (reason LEASE_LOST) when the token is no longer good.
absl::StatusOr<PutCounts> PutMissingBlobs(ServerConnection& connection,
                                          const std::string& lease_token,
                                          const std::vector<Blob>& blobs);

}  // namespace attune::transport

#endif  // ATTUNE_WORKER_TRANSPORT_BLOB_TRANSFER_H_
