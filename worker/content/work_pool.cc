#include "worker/content/work_pool.h"

#include <utility>

namespace attune::content {
namespace {

constexpr size_t kWaitingPerThread = 4;

}  // namespace

WorkPool::WorkPool(int threads)
    : max_waiting_(kWaitingPerThread * static_cast<size_t>(threads)) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

WorkPool::~WorkPool() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void WorkPool::Add(std::function<void()> work) {
  absl::MutexLock lock(&mutex_);
  const auto has_room = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return waiting_.size() < max_waiting_;
  };
  mutex_.Await(absl::Condition(&has_room));
  waiting_.push_back(std::move(work));
}

void WorkPool::Wait() {
  absl::MutexLock lock(&mutex_);
  const auto done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return waiting_.empty() && running_ == 0;
  };
  mutex_.Await(absl::Condition(&done));
}

void WorkPool::Run() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return ending_ || !waiting_.empty();
    };
    mutex_.Await(absl::Condition(&has_work));
    if (waiting_.empty()) return;
    const std::function<void()> work = std::move(waiting_.front());
    waiting_.pop_front();
    ++running_;
    mutex_.Unlock();
    work();
    mutex_.Lock();
    --running_;
  }
}

}  // namespace attune::content
