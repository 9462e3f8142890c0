#ifndef ATTUNE_TESTS_SERVER_SERVICES_FAKE_WORKER_H_
#define ATTUNE_TESTS_SERVER_SERVICES_FAKE_WORKER_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "attune/v1/worker_service.grpc.pb.h"

namespace attune::services {

// A serving worker without a model, over real gRPC: it loads what it is told
// to, and its embeddings are functions of the input's bytes.
class FakeWorker {
 public:
  struct Options {
    std::string id = "fake-1";
    int version_slots = 2;
    int preferred_batch_size = 8;
    int dimensions = 8;
    // Keeps the answers of batches back until Release.
    bool silent = false;
    // Answers loads with this error's reason.
    std::string load_error;
    // Sent with every call; "" for none.
    std::string api_key;
  };

  // Registers and opens Serve.
  FakeWorker(const std::string& address, Options options);
  // Breaks the stream, as a worker that dies does.
  ~FakeWorker();

  // L2-normalised; another one for each input.
  static std::vector<float> Embed(absl::string_view bytes, int dimensions);
  static std::vector<float> Embed(const std::vector<int32_t>& tokens,
                                  int dimensions);

  // Sends what was kept back, and keeps nothing back from now on.
  void Release();

  // Waits until the server has sent so many batches.
  void AwaitBatches(int count);
  // Sizes of the batches so far.
  std::vector<int> batch_sizes() const;
  // Digests of the versions that were loaded, in order.
  std::vector<std::string> loads() const;
  // How the stream ended; waits for it.
  grpc::Status AwaitEnd();

 private:
  void Run();
  void Answer(const v1::ServeResponse& message);

  const Options options_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ServeRequest, v1::ServeResponse>>
      stream_;
  mutable absl::Mutex mutex_;
  std::vector<int> batch_sizes_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> loads_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status end_status_ ABSL_GUARDED_BY(mutex_);
  bool silent_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::ServeRequest> kept_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace attune::services

#endif  // ATTUNE_TESTS_SERVER_SERVICES_FAKE_WORKER_H_
