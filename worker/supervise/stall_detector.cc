#include "worker/supervise/stall_detector.h"

#include <algorithm>
#include <vector>

namespace attune::supervise {
namespace {

// Steps that the median is of.
constexpr size_t kWindow = 101;

}  // namespace

void StallDetector::Progressed(const Progress& progress, absl::Duration now) {
  reported_ = now;
  if (progress.step == step_) return;
  // Before the first report there was loading; a step back is another count,
  // as an evaluation's.
  if (step_ >= 0 && progress.step > step_) {
    durations_.push_back((now - step_began_) / (progress.step - step_));
    if (durations_.size() > kWindow) durations_.pop_front();
  }
  step_ = progress.step;
  step_began_ = now;
}

absl::Duration StallDetector::Limit() const {
  if (durations_.empty()) return options_.shortest;
  std::vector<absl::Duration> sorted(durations_.begin(), durations_.end());
  const auto middle = sorted.begin() + sorted.size() / 2;
  std::nth_element(sorted.begin(), middle, sorted.end());
  return std::max(options_.shortest, *middle * options_.steps);
}

}  // namespace attune::supervise
