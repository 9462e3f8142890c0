// The services of a FakeServer, and what they share.

#ifndef ATTUNE_TESTS_CLIENT_FAKE_SERVER_FAKE_SERVICES_H_
#define ATTUNE_TESTS_CLIENT_FAKE_SERVER_FAKE_SERVICES_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/sync_stream.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/grpc/status_conversion.h"
#include "tests/client/fake_server/fake_server.h"

namespace attune::client {

// `fake` outlives them.
std::unique_ptr<grpc::Service> MakeFakeDatasets(FakeServer& fake);
std::unique_ptr<grpc::Service> MakeFakeJobs(FakeServer& fake);
std::unique_ptr<grpc::Service> MakeFakeModels(FakeServer& fake);
std::unique_ptr<grpc::Service> MakeFakeInference(FakeServer& fake);
std::unique_ptr<grpc::Service> MakeFakeWorkers(FakeServer& fake);

// Returns from a handler when the test wants the call to fail; else holds the
// lock until the handler's end.
#define FAKE_BEGIN(fake)                                  \
  if (absl::Status begin = (fake).Begin(); !begin.ok()) { \
    return ToGrpcStatus(begin);                           \
  }                                                       \
  absl::MutexLock lock(&(fake).mutex)

// Sends `bytes` in chunks and then the end.
template <typename Response>
void SendInChunks(const std::string& bytes, bool corrupt,
                  grpc::ServerWriter<Response>* writer) {
  constexpr size_t kChunk = 1000;
  for (size_t at = 0; at < bytes.size(); at += kChunk) {
    Response response;
    response.set_chunk(bytes.substr(at, kChunk));
    writer->Write(response);
  }
  Response response;
  response.mutable_end()->set_size_bytes(static_cast<int64_t>(bytes.size()));
  response.mutable_end()->set_sha256(Sha256Hex(corrupt ? bytes + "x" : bytes));
  writer->Write(response);
}

inline grpc::Status DigestError() {
  return ToGrpcStatus(Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH",
                            "size or digest differ"));
}

}  // namespace attune::client

#endif  // ATTUNE_TESTS_CLIENT_FAKE_SERVER_FAKE_SERVICES_H_
