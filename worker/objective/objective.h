// What is minimised: one objective a file of this folder, found by its name.
// docs/adding_an_objective.md says what a new one needs.

#ifndef ATTUNE_WORKER_OBJECTIVE_OBJECTIVE_H_
#define ATTUNE_WORKER_OBJECTIVE_OBJECTIVE_H_

#include <ATen/core/Tensor.h>

#include <functional>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/objective_schema.h"
#include "worker/objective/pair_terms.h"

namespace attune::objective {

// Trains on pairs. What it needs beside the policy is said here, so that
// nothing is computed in vain.
struct PairObjective {
  // The loss of each pair [B], differentiable.
  std::function<at::Tensor(const PairTerms& terms)> loss;
  // a, b and h: π_ref of the pairs' images.
  bool uses_reference = true;
  // log π over all candidates, not over the texts that happen to be embedded.
  bool over_candidates = false;
  // z, from clean images.
  bool uses_clean_kl = false;
};

// Trains on images and their captions.
struct CaptionObjective {
  // The loss [] of a whole batch. `logits` [B, B]: rows images, columns
  // captions. `positives` [B, B] of 0 and 1 in the dtype of the logits,
  // without an empty row or column: which captions fit which images.
  std::function<at::Tensor(const at::Tensor& logits,
                           const at::Tensor& positives)>
      loss;
};

using Objective = std::variant<PairObjective, CaptionObjective>;

// The objective of a field of attune.v1.TrainSpec, such as "dpo", with a value
// for each of its options but the KL's weight.
// INVALID_ARGUMENT, reason UNKNOWN_OBJECTIVE or MISSING_OPTION.
absl::StatusOr<Objective> MakeObjective(absl::string_view name,
                                        const ObjectiveValues& options);

}  // namespace attune::objective

#endif  // ATTUNE_WORKER_OBJECTIVE_OBJECTIVE_H_
