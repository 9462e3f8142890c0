#ifndef ATTUNE_WORKER_CONTENT_WORK_POOL_H_
#define ATTUNE_WORKER_CONTENT_WORK_POOL_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace attune::content {

// A few threads for decoding images, apart from those that compute tensors.
// Thread-safe.
class WorkPool {
 public:
  explicit WorkPool(int threads);
  // Waits for all work.
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  // Runs `work` on one of the threads; waits while many pieces wait already,
  // which bounds the memory that they hold.
  void Add(std::function<void()> work);

  // Waits until everything added so far is done.
  void Wait();

 private:
  void Run();

  const size_t max_waiting_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace attune::content

#endif  // ATTUNE_WORKER_CONTENT_WORK_POOL_H_
