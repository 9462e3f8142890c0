#ifndef ATTUNE_SERVER_SERVICES_WATCH_STREAMS_H_
#define ATTUNE_SERVER_SERVICES_WATCH_STREAMS_H_

#include <grpcpp/support/server_callback.h>

#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "attune/v1/job_service.pb.h"
#include "server/core/jobs/job_manager.h"
#include "server/core/jobs/job_signals.h"
#include "server/services/call.h"

namespace attune::services {

class WatchStream;

// The open streams of JobService.WatchJob. A stream reads the database when its
// job has changed and the client has taken the message before; while nothing
// changes it holds no thread. Thread-safe.
class WatchStreams {
 public:
  // The arguments outlive the streams.
  WatchStreams(const CallEnvironment& environment, const core::JobManager& jobs,
               core::JobSignals& signals)
      : environment_(environment), jobs_(jobs), signals_(signals) {}

  // Begins one call.
  grpc::ServerWriteReactor<v1::WatchJobResponse>* Begin(
      grpc::CallbackServerContext* context, const v1::WatchJobRequest* request);

  // Has the streams whose job waits look at it again: its place in the queue
  // changes with other jobs, and "no worker" with the workers. Called every
  // few seconds by one thread; does not block.
  void RefreshWaiting();
  // Ends the streams whose callers are not allowed any more.
  void CloseRefused();

  // Ends every stream, and those that come, with UNAVAILABLE, reason DRAINING:
  // they would not end by themselves.
  void CloseAll();

 private:
  friend class WatchStream;

  const CallEnvironment& environment_;
  const core::JobManager& jobs_;
  core::JobSignals& signals_;
  absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<WatchStream*> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_WATCH_STREAMS_H_
