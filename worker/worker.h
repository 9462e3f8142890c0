// attune-worker as a whole: the parent, which talks to the server and keeps
// children, and the two kinds of children, which compute.

#ifndef ATTUNE_WORKER_WORKER_H_
#define ATTUNE_WORKER_WORKER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/grpc/client_security.h"
#include "worker/supervise/stall_detector.h"
#include "worker/transport/stop_signal.h"

namespace attune {

struct WorkerOptions {
  // HOST:PORT of attune-server.
  std::string server;
  ClientSecurity security;
  // HOST-PID-RANDOM; kept over reconnections.
  std::string worker_id;
  // As in content::ResolveDevice.
  std::string device = "auto";
  // Leases tasks; answers inference.
  bool train = true;
  bool serve = true;
  // For tensors and for decoding, in each child.
  int threads = 1;
  // Versions that are served at a time.
  int serve_slots = 4;
  // Folder of the pixel cache, "" for none.
  std::string cache_dir;
  // Training stores a checkpoint at least so often.
  absl::Duration checkpoint_interval = absl::Minutes(10);
  // For storing a checkpoint when a task is asked to stop.
  absl::Duration hand_back_limit = absl::Seconds(60);
  // When a task that does nothing is taken for one that hangs.
  supervise::StallDetector::Options stall;
};

// Runs the worker until `drain` is signalled and its children have ended.
// `task_command` and `serve_command` start the children, this program with
// other flags. Waits for the server as long as it takes; fails when the device
// cannot be used or the server refuses the worker.
absl::Status RunWorker(const WorkerOptions& options,
                       const std::vector<std::string>& task_command,
                       const std::vector<std::string>& serve_command,
                       transport::StopSignal& drain);

// In a child: does the task that the parent passed and returns the exit status.
int RunTaskChild(const WorkerOptions& options);

// In a child: serves until the parent ends the orders; returns the exit
// status.
int RunServeChild(const WorkerOptions& options);

}  // namespace attune

#endif  // ATTUNE_WORKER_WORKER_H_
