// What a version answers on a dataset, row by row, from embeddings.
//
// All embeddings are normalised, fp32, on any device; texts and images are
// named by their row. Equal scores are ranked by row, lowest first, and a
// score that is not a number is never right: a model cannot gain by saying the
// same of everything, or nothing. Pure functions, thread-safe; wrong indices
// are programming errors.

#ifndef ATTUNE_WORKER_EVALUATE_OUTCOMES_H_
#define ATTUNE_WORKER_EVALUATE_OUTCOMES_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace attune::evaluate {

// Called now and then by what may take long, when a part of it is done.
using WorkListener = std::function<void()>;

// Which rows count for a figure: the figure is their share.
struct Outcomes {
  std::string name;
  // The rows that the figure is over, and for each 1 when it counts.
  std::vector<int64_t> rows = {};
  std::vector<uint8_t> counts = {};
  // Whether the rows are images; else they are texts.
  bool of_images = true;

  friend bool operator==(const Outcomes&, const Outcomes&) = default;
};

// `attack` of a row that has none.
inline constexpr int64_t kNoAttack = -1;

// Zero-shot classification of `images` [N, D] over `candidates` [C, D];
// labels [N], attacks [N] are candidates. Those without rows are absent.
//   clean_top1, clean_top5   rows without attack whose label is ranked first,
//                            among the first five
//   attacked_top1            rows with attack whose label is ranked first
//   attack_success           rows with attack whose attack is ranked first
std::vector<Outcomes> ZeroShotOutcomes(
    const at::Tensor& images, const at::Tensor& candidates,
    const std::vector<int64_t>& labels, const std::vector<int64_t>& attacks,
    const WorkListener& worked = [] {});

// pair_accuracy: pairs with π(y_w|x) > π(y_l|x), the two-way protocol of SCAM.
// `images` [N, D]; preferred [N] and rejected [N] are rows of `texts` [M, D].
Outcomes PairOutcomes(
    const at::Tensor& images, const at::Tensor& texts,
    const std::vector<int64_t>& preferred, const std::vector<int64_t>& rejected,
    const WorkListener& worked = [] {});

// Retrieval among `images` [N, D] and distinct `texts` [M, D]; captions [N]
// are rows of texts; a text that is no image's caption only distracts.
//   recall_at_{1,5,10}_image  image → text: images whose caption is among the
//                             first texts
//   recall_at_{1,5,10}_text   text → image: texts one of whose images is among
//                             the first images
std::vector<Outcomes> RetrievalOutcomes(
    const at::Tensor& images, const at::Tensor& texts,
    const std::vector<int64_t>& captions, const WorkListener& worked = [] {});

// The candidate [C, D] that each of `images` [N, D] is assigned to: the best
// one, or kNoCandidate where no score is a number.
inline constexpr int64_t kNoCandidate = -1;
std::vector<int64_t> AssignedCandidates(
    const at::Tensor& images, const at::Tensor& candidates,
    const WorkListener& worked = [] {});

// Template ensemble: the embeddings [C, T, D] of C candidates in T templates,
// normalised, averaged and normalised again: [C, D].
at::Tensor AverageTemplates(const at::Tensor& embeddings);

}  // namespace attune::evaluate

#endif  // ATTUNE_WORKER_EVALUATE_OUTCOMES_H_
