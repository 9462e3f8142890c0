#ifndef ATTUNE_WORKER_TASK_RUN_TASK_H_
#define ATTUNE_WORKER_TASK_RUN_TASK_H_

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/worker_service.pb.h"
#include "worker/supervise/child_protocol.h"

namespace attune::task {

struct TaskOptions {
  // As in ResolveDevice.
  std::string device = "auto";
  // For tensors and for decoding.
  int threads = 1;
  // Folder of the pixel cache, "" for none.
  std::string cache_dir;
  // Where orders come from; called by a thread of its own until it fails.
  std::function<absl::StatusOr<supervise::Order>()> read_order;
  std::function<void(const supervise::Progress&)> report_progress;
};

// How an error ends an attempt: LEASE_LOST has no report (KIND_UNSPECIFIED),
// what another attempt would meet again is permanent.
v1::FailTaskRequest::Kind FailureKind(const absl::Status& status,
                                      bool order_given);

// Does a leased task in this process, reports its end to the server, and
// returns one of ChildExit. Does not wait for the thread that reads orders:
// the process should end soon after.
int RunTask(std::shared_ptr<grpc::Channel> channel, const v1::Task& task,
            const TaskOptions& options);

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_RUN_TASK_H_
