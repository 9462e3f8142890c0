#ifndef ATTUNE_SERVER_SERVICES_SERVE_STREAM_H_
#define ATTUNE_SERVER_SERVICES_SERVE_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "attune/v1/worker_service.pb.h"
#include "server/core/inference/router.h"
#include "server/core/leases/worker_registry.h"
#include "server/services/call.h"

namespace attune::services {

class ServeStream;

// The open streams of WorkerService.Serve: each connects one worker to the
// router. Thread-safe.
class ServeStreams {
 public:
  // The arguments outlive the streams.
  ServeStreams(const CallEnvironment& environment, core::Router& router,
               core::WorkerRegistry& registry)
      : environment_(environment), router_(router), registry_(registry) {}

  // Begins one call of Serve. It ends with INVALID_ARGUMENT when the worker
  // sends what makes no sense, with NOT_FOUND, reason WORKER_UNKNOWN, when it
  // has not registered, with the errors of Access, with UNAVAILABLE, reason
  // DRAINING, after CloseAll.
  grpc::ServerBidiReactor<v1::ServeRequest, v1::ServeResponse>* Begin(
      grpc::CallbackServerContext* context);

  // Ends the streams whose workers are not allowed any more.
  void CloseRefused();

  // Ends every stream, and those that come.
  void CloseAll();

 private:
  friend class ServeStream;

  const CallEnvironment& environment_;
  core::Router& router_;
  core::WorkerRegistry& registry_;
  absl::Mutex mutex_;
  std::set<ServeStream*> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_SERVE_STREAM_H_
