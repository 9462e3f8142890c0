#ifndef ATTUNE_WORKER_TASK_RUN_TASK_H_
#define ATTUNE_WORKER_TASK_RUN_TASK_H_

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
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
  // A training task stores a checkpoint at least so often.
  absl::Duration checkpoint_interval = absl::Minutes(10);
  // The path of attune-image-decoder.
  std::string decoder_program;
  // Where orders come from; called by a thread of its own until it fails.
  std::function<absl::StatusOr<supervise::Order>()> read_order;
  std::function<void(const supervise::Progress&)> report_progress;
};

// How an error ends an attempt: LEASE_LOST has no report (KIND_UNSPECIFIED),
// what another attempt would meet again is permanent. `device_free`: nobody
// else has much of the device's memory.
v1::FailTaskRequest::Kind FailureKind(const absl::Status& status,
                                      bool order_given, bool device_free);

// Does a leased task in this process, reports its end to the server, and
// returns one of ChildExit. Does not wait for the thread that reads orders:
// the process should end soon after.
int RunTask(std::shared_ptr<grpc::Channel> channel, const v1::Task& task,
            const TaskOptions& options);

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_RUN_TASK_H_
