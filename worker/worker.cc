#include "worker/worker.h"

#include <ATen/Parallel.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "attune/v1/worker_service.pb.h"
#include "common/build_info.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "common/grpc/time_conversion.h"
#include "common/status_macros.h"
#include "worker/content/device.h"
#include "worker/decode/picture_decoder.h"
#include "worker/serve/serve_loop.h"
#include "worker/supervise/child_protocol.h"
#include "worker/supervise/heartbeats.h"
#include "worker/supervise/process_keeper.h"
#include "worker/supervise/task_loop.h"
#include "worker/supervise/task_supervisor.h"
#include "worker/task/run_task.h"
#include "worker/transport/retry.h"

namespace attune {
namespace {

constexpr int kExitFailed = 1;
// For the batch that the serving child is in.
constexpr absl::Duration kServeEndLimit = absl::Seconds(10);

// Pictures in a batch that keep the device busy without making the first
// caller wait for long.
constexpr int kCpuBatchSize = 16;
constexpr int kGpuBatchSize = 128;

std::shared_ptr<grpc::Channel> Connect(const WorkerOptions& options) {
  return ConnectTo(options.server, {.user_agent = "attune-worker",
                                    .security = options.security});
}

v1::RegisterRequest Registration(const WorkerOptions& options,
                                 const at::Device& device) {
  v1::RegisterRequest request;
  request.set_worker_id(options.worker_id);
  if (options.train) request.add_roles(v1::WORKER_ROLE_TRAIN);
  if (options.serve) request.add_roles(v1::WORKER_ROLE_SERVE);
  *request.mutable_device() = content::DescribeDevice(device);
  request.set_build(BuildInfo());
  return request;
}

v1::ServeRequest::Hello Hello(const WorkerOptions& options,
                              const at::Device& device) {
  v1::ServeRequest::Hello hello;
  hello.set_worker_id(options.worker_id);
  *hello.mutable_device() = content::DescribeDevice(device);
  hello.set_version_slots(options.serve_slots);
  hello.set_preferred_batch_size(device.is_cuda() ? kGpuBatchSize
                                                  : kCpuBatchSize);
  return hello;
}

}  // namespace

absl::Status RunWorker(const WorkerOptions& options,
                       const std::vector<std::string>& task_command,
                       const std::vector<std::string>& serve_command,
                       transport::StopSignal& drain) {
  ATTUNE_ASSIGN_OR_RETURN(const at::Device device,
                          content::ResolveDevice(options.device));
  if (const std::string program = decode::DecoderProgram();
      access(program.c_str(), X_OK) != 0) {
    return Error(absl::StatusCode::kFailedPrecondition, "DECODER_MISSING",
                 absl::StrCat(program,
                              " decodes pictures and cannot be run: install it "
                              "beside attune-worker"));
  }
  const auto channel = Connect(options);
  // Polling ends at once when the worker stops; reporting goes on to the end.
  transport::StopSignal never;
  transport::ServerConnection polling(channel, drain);
  transport::ServerConnection reporting(channel, never);
  const v1::RegisterRequest registration = Registration(options, device);
  v1::RegisterResponse terms;
  const absl::Status registered =
      transport::Retry(drain, "Register", [&]() -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(terms, polling.Register(registration));
        return absl::OkStatus();
      });
  if (drain.stopped()) return absl::OkStatus();
  ATTUNE_RETURN_IF_ERROR(registered);
  spdlog::info("{} on {} ({}) works for {}", options.worker_id,
               registration.device().kind(), registration.device().name(),
               options.server);

  supervise::Heartbeats heartbeats(
      reporting, Clock::Real(),
      {.registration = registration,
       .interval = FromProtoDuration(terms.heartbeat_interval()),
       .fence_after = terms.has_fence_after()
                          ? FromProtoDuration(terms.fence_after())
                          : FromProtoDuration(terms.lease_duration()) * 2 / 3});
  heartbeats.Start();
  std::thread serving;
  if (options.serve) {
    serving = std::thread(
        [&] { supervise::KeepProcess(serve_command, drain, kServeEndLimit); });
  }
  if (options.train) {
    supervise::TaskSupervisor supervisor(
        reporting, heartbeats, drain, Clock::Real(),
        {.command = task_command,
         .hand_back_limit = options.hand_back_limit,
         .stall = options.stall});
    supervise::RunTaskLoop(polling, options.worker_id, supervisor);
  }
  if (serving.joinable()) serving.join();
  return absl::OkStatus();
}

int RunTaskChild(const WorkerOptions& options) {
  v1::Task task;
  const auto input = supervise::ReadInput();
  if (!input.ok() || !task.ParseFromString(*input)) {
    spdlog::error("the task cannot be read");
    return kExitFailed;
  }
  return task::RunTask(Connect(options), task,
                       {.device = options.device,
                        .threads = options.threads,
                        .cache_dir = options.cache_dir,
                        .checkpoint_interval = options.checkpoint_interval,
                        .decoder_program = decode::DecoderProgram(),
                        .read_order = supervise::ReadOrder,
                        .report_progress = supervise::WriteProgress});
}

int RunServeChild(const WorkerOptions& options) {
  const absl::StatusOr<at::Device> device =
      content::ResolveDevice(options.device);
  if (!device.ok()) {
    spdlog::error("{}", std::string(device.status().message()));
    return kExitFailed;
  }
  transport::StopSignal drain;
  std::thread orders([&drain] {
    while (supervise::ReadOrder().ok()) {
    }
    drain.Stop();
  });
  at::set_num_threads(options.threads);
  transport::StopSignal never;
  transport::ServerConnection connection(Connect(options), never);
  serve::ServeLoop(connection, drain,
                   {.hello = Hello(options, *device),
                    .device = *device,
                    .decode_threads = options.threads,
                    .decoder_program = decode::DecoderProgram()})
      .Run();
  orders.join();
  return 0;
}

}  // namespace attune
