#include "worker/task/run_task.h"

#include <ATen/Parallel.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <thread>
#include <utility>

#include "common/error.h"
#include "common/status_macros.h"
#include "worker/content/device.h"
#include "worker/content/device_memory.h"
#include "worker/task/evaluate_task.h"
#include "worker/task/task_context.h"
#include "worker/task/train_task.h"
#include "worker/task/validate_task.h"
#include "worker/transport/retry.h"

namespace attune::task {
namespace {

using v1::FailTaskRequest;

// What the thread that reads orders uses; it may outlive the task.
struct Stopping {
  transport::StopSignal stop;
  Orders orders{stop};
};

absl::StatusOr<v1::CompleteTaskRequest> Work(
    const std::shared_ptr<grpc::Channel>& channel, const v1::Task& task,
    const TaskOptions& options, const at::Device& device, Stopping& stopping) {
  transport::ServerConnection connection(channel, stopping.stop);
  ProgressReport progress(options.report_progress);
  connection.SetTransferListener([&progress] { progress.Worked(); });
  decode::PictureDecoder decoder(options.decoder_program);
  const TaskContext context = {
      .connection = connection,
      .orders = stopping.orders,
      .lease_token = task.lease_token(),
      .device = device,
      .threads = options.threads,
      .cache_dir = options.cache_dir,
      .checkpoint_interval = options.checkpoint_interval,
      .decoder = decoder,
      .progress = progress};
  v1::CompleteTaskRequest request;
  request.set_lease_token(task.lease_token());
  switch (task.spec_case()) {
    case v1::Task::kTrain: {
      ATTUNE_ASSIGN_OR_RETURN(
          *request.mutable_train(),
          RunTrainTask(context, task.train(), task.attempt()));
      break;
    }
    case v1::Task::kEvaluate: {
      ATTUNE_ASSIGN_OR_RETURN(*request.mutable_evaluate(),
                              RunEvaluateTask(context, task.evaluate()));
      break;
    }
    case v1::Task::kValidate: {
      ATTUNE_ASSIGN_OR_RETURN(*request.mutable_validate(),
                              RunValidateTask(context, task.validate()));
      break;
    }
    case v1::Task::SPEC_NOT_SET:
      return Error(absl::StatusCode::kUnimplemented, "UNKNOWN_TASK",
                   "this worker does not know this kind of task: update it");
  }
  return request;
}

std::string ReasonOf(const absl::Status& status) {
  const std::string reason = ErrorReason(status);
  return reason.empty() ? absl::StatusCodeToString(status.code()) : reason;
}

}  // namespace

FailTaskRequest::Kind FailureKind(const absl::Status& status, bool order_given,
                                  bool device_free) {
  if (transport::IsLeaseLost(status)) return FailTaskRequest::KIND_UNSPECIFIED;
  switch (status.code()) {
    case absl::StatusCode::kCancelled:
      return order_given ? FailTaskRequest::KIND_HAND_BACK
                         : FailTaskRequest::KIND_RETRYABLE;
    case absl::StatusCode::kFailedPrecondition:
      // Another worker may be of the newer build that wrote the checkpoint.
      return ErrorReason(status) == "CHECKPOINT_MISMATCH"
                 ? FailTaskRequest::KIND_RETRYABLE
                 : FailTaskRequest::KIND_PERMANENT;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kDataLoss:
      return FailTaskRequest::KIND_PERMANENT;
    case absl::StatusCode::kResourceExhausted: {
      const std::string reason = ErrorReason(status);
      // Room may be made on the server's disk, and others may leave the device.
      return reason == "DISK_FULL" ||
                     (reason == "OUT_OF_MEMORY" && !device_free)
                 ? FailTaskRequest::KIND_RETRYABLE
                 : FailTaskRequest::KIND_PERMANENT;
    }
    default:
      return FailTaskRequest::KIND_RETRYABLE;
  }
}

int RunTask(std::shared_ptr<grpc::Channel> channel, const v1::Task& task,
            const TaskOptions& options) {
  at::set_num_threads(options.threads);
  const auto stopping = std::make_shared<Stopping>();
  std::thread([stopping, read_order = options.read_order] {
    for (auto order = read_order(); order.ok(); order = read_order()) {
      stopping->orders.Give(*order);
    }
  }).detach();
  // The last report goes out even when an order has stopped everything else.
  transport::StopSignal never;
  transport::ServerConnection reporting(channel, never);
  const absl::StatusOr<at::Device> device =
      content::ResolveDevice(options.device);
  const absl::StatusOr<v1::CompleteTaskRequest> result =
      device.ok() ? Work(channel, task, options, *device, *stopping)
                  : device.status();
  absl::Status status = result.status();
  if (status.ok()) {
    status = transport::Retry(never, "CompleteTask", [&] {
      return reporting.CompleteTask(*result).status();
    });
    if (status.ok()) return supervise::kChildDone;
  }
  const FailTaskRequest::Kind kind = FailureKind(
      status, stopping->orders.given(),
      !device.ok() || content::ReadMemoryUse(*device).OtherwiseFree());
  if (kind == FailTaskRequest::KIND_UNSPECIFIED) {
    return supervise::kChildLeaseLost;
  }
  const std::string reason = kind == FailTaskRequest::KIND_HAND_BACK
                                 ? "WORKER_STOPPED"
                                 : ReasonOf(status);
  const std::string message(status.message());
  if (kind == FailTaskRequest::KIND_HAND_BACK) {
    spdlog::info("{}: handed back: {}", task.id(), message);
  } else {
    spdlog::error("{}: {}: {}", task.id(), reason, message);
  }
  status = transport::Retry(never, "FailTask", [&] {
    return reporting.FailTask(task.lease_token(), kind, reason, message);
  });
  return transport::IsLeaseLost(status) ? supervise::kChildLeaseLost
                                        : supervise::kChildReported;
}

}  // namespace attune::task
