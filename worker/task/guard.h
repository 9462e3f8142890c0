#ifndef ATTUNE_WORKER_TASK_GUARD_H_
#define ATTUNE_WORKER_TASK_GUARD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/bounds.h"

namespace attune::task {

// What a guard decides over the evaluations of a run: which step is the best
// that holds the bounds, and when to end. A function of what it has seen, and
// so the same after a restart. Not thread-safe.
class Guard {
 public:
  struct Options {
    // As in v1::Guard, with the defaults filled in.
    std::map<std::string, double> max_drop;
    std::string best_by;
    int patience = 0;
  };

  struct Verdict {
    // Holds the bounds and is better than every one before: keep it.
    bool best = false;
    // The run shall end here.
    bool stop = false;
    // One sentence on it.
    std::string sentence;
  };

  // `base`: the figures of the version to compare with.
  Guard(Options options, FigureValues base);

  // REQUIRES: !stopped(), steps ascend.
  Verdict Judge(int64_t step, const FigureValues& figures);

  // The last step that was judged, 0 for none.
  int64_t judged_step() const { return judged_step_; }
  std::optional<int64_t> best_step() const { return best_step_; }
  bool stopped() const { return stopped_; }

  // One sentence on the whole run of `total_steps`.
  std::string Note(int64_t total_steps) const;

  // The state, and back. DATA_LOSS, reason INVALID_CHECKPOINT.
  std::string ToJson() const;
  static absl::StatusOr<Guard> FromJson(Options options,
                                        absl::string_view json);

 private:
  Options options_;
  FigureValues base_;
  int64_t judged_step_ = 0;
  std::optional<int64_t> best_step_;
  double best_value_ = 0;
  // Evaluations since the best one, or since the start.
  int since_best_ = 0;
  bool stopped_ = false;
};

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_GUARD_H_
