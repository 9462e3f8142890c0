#ifndef ATTUNE_WORKER_TASK_GUARD_RUN_H_
#define ATTUNE_WORKER_TASK_GUARD_RUN_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/job_service.pb.h"
#include "worker/content/version_loader.h"
#include "worker/task/evaluator.h"
#include "worker/task/guard.h"
#include "worker/train/trainer.h"

namespace attune::task {

// A training run's guard at work: evaluates what the run would put out, keeps
// the best, and is a part of the run's checkpoints. Not thread-safe.
class GuardRun {
 public:
  // The arguments outlive the guard. `base` is evaluated, on `evaluator`.
  // Errors of Evaluator::Answer.
  static absl::StatusOr<GuardRun> Start(const v1::TrainSpec& spec,
                                        const content::LoadedVersion& base,
                                        Evaluator& evaluator);
  // Goes on from a state that AddTo has filled. DATA_LOSS, reason
  // INVALID_CHECKPOINT.
  static absl::StatusOr<GuardRun> Resume(const v1::TrainSpec& spec,
                                         const content::LoadedVersion& base,
                                         Evaluator& evaluator,
                                         const train::TrainerState& state);

  const Guard& guard() const { return guard_; }

  // Whether to evaluate after the trainer's present step.
  bool Due(const train::Trainer& trainer) const;

  // Evaluates and returns a sentence on it.
  absl::StatusOr<std::string> Evaluate(const train::Trainer& trainer);

  // Adds the guard's state to the trainer's.
  absl::Status AddTo(train::TrainerState& state) const;

  // What the run puts out first: the weights of the best step, or where none
  // held the bounds, the present ones.
  absl::StatusOr<model::Tensors> FirstOutput(
      const train::Trainer& trainer) const;

 private:
  GuardRun(const v1::TrainSpec& spec, const content::LoadedVersion& base,
           Evaluator& evaluator, Guard guard)
      : spec_(&spec),
        base_(&base),
        evaluator_(&evaluator),
        guard_(std::move(guard)) {}

  absl::StatusOr<model::Tensors> Present(const train::Trainer& trainer) const;

  const v1::TrainSpec* spec_;
  const content::LoadedVersion* base_;
  Evaluator* evaluator_;
  Guard guard_;
  // Of the best step; the tensors that are the base's own are left out.
  model::Tensors best_;
};

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_GUARD_RUN_H_
