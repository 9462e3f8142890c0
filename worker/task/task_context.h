#ifndef ATTUNE_WORKER_TASK_TASK_CONTEXT_H_
#define ATTUNE_WORKER_TASK_TASK_CONTEXT_H_

#include <ATen/core/Tensor.h>

#include <atomic>
#include <string>

#include "absl/time/time.h"
#include "worker/decode/picture_decoder.h"
#include "worker/supervise/child_protocol.h"
#include "worker/task/pixel_store.h"
#include "worker/task/progress_report.h"
#include "worker/transport/server_connection.h"
#include "worker/transport/stop_signal.h"

namespace attune::task {

// What the parent has asked for; the first order counts, a cancellation
// always. Thread-safe.
class Orders {
 public:
  // `stop` ends the task's calls and waits. It is signalled by any order while
  // the task is interruptible, by a cancellation always.
  explicit Orders(transport::StopSignal& stop) : stop_(stop) {}

  void Give(supervise::Order order) {
    if (order == supervise::Order::kCancel) cancelled_ = true;
    given_ = true;
    if (interruptible_ || cancelled_) stop_.Stop();
  }

  // A task that has something to save is not; then it looks at given().
  void SetInterruptible(bool interruptible) {
    interruptible_ = interruptible;
    if (interruptible && given_) stop_.Stop();
  }

  bool given() const { return given_; }
  bool cancelled() const { return cancelled_; }

 private:
  transport::StopSignal& stop_;
  std::atomic<bool> interruptible_ = true;
  std::atomic<bool> given_ = false;
  std::atomic<bool> cancelled_ = false;
};

// What every kind of task works with.
struct TaskContext {
  transport::ServerConnection& connection;
  Orders& orders;
  std::string lease_token;
  at::Device device = at::kCPU;
  // Decoding threads.
  int threads = 1;
  // Folder of the pixel cache, "" for none.
  std::string cache_dir;
  // A checkpoint is stored at least so often.
  absl::Duration checkpoint_interval = absl::Minutes(10);
  decode::PictureDecoder& decoder;
  // To the heartbeat, and against being taken for one that hangs.
  ProgressReport& progress;

  PixelStore::Options PixelOptions(int size) const {
    return {.size = size,
            .threads = threads,
            .cache_dir = cache_dir,
            .decoder = &decoder};
  }
};

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_TASK_CONTEXT_H_
