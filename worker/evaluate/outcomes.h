// The figures of an evaluation, from embeddings.
//
// All embeddings are normalised, fp32, on any device; texts and images are
// named by their row. A figure without rows is absent. Equal scores are
// ranked by row, lowest first, and a score that is not a number is never
// right: a model cannot gain by saying the same of everything, or nothing.
// Pure functions, thread-safe; wrong indices are programming errors.

#ifndef ATTUNE_WORKER_EVALUATE_FIGURES_H_
#define ATTUNE_WORKER_EVALUATE_FIGURES_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace attune::evaluate {

struct Figure {
  std::string name;
  // A share in [0, 1].
  double value = 0;
  // Rows it was computed over, > 0.
  int64_t count = 0;

  friend bool operator==(const Figure&, const Figure&) = default;
};

// `attack` of a row that has none.
inline constexpr int64_t kNoAttack = -1;

// Zero-shot classification of `images` [N, D] over `candidates` [C, D];
// labels [N], attacks [N] are candidates.
//   clean_top1, clean_top5   rows without attack whose label is ranked first,
//                            among the first five
//   attacked_top1            rows with attack whose label is ranked first
//   attack_success           rows with attack whose attack is ranked first
std::vector<Figure> ZeroShotFigures(const at::Tensor& images,
                                    const at::Tensor& candidates,
                                    const std::vector<int64_t>& labels,
                                    const std::vector<int64_t>& attacks);

// pair_accuracy: share of pairs with π(y_w|x) > π(y_l|x), the two-way
// protocol of SCAM. `images` [N, D]; preferred [N] and rejected [N] are rows
// of `texts` [M, D].
std::vector<Figure> PairFigures(const at::Tensor& images,
                                const at::Tensor& texts,
                                const std::vector<int64_t>& preferred,
                                const std::vector<int64_t>& rejected);

// Retrieval among `images` [N, D] and distinct `texts` [M, D]; captions [N]
// are rows of texts; a text that is no image's caption only distracts.
//   recall_at_{1,5,10}_image  image → text: images whose caption is among the
//                             first texts
//   recall_at_{1,5,10}_text   text → image: texts one of whose images is among
//                             the first images
std::vector<Figure> RetrievalFigures(const at::Tensor& images,
                                     const at::Tensor& texts,
                                     const std::vector<int64_t>& captions);

// Template ensemble: the embeddings [C, T, D] of C candidates in T templates,
// normalised, averaged and normalised again: [C, D].
at::Tensor AverageTemplates(const at::Tensor& embeddings);

}  // namespace attune::evaluate

#endif  // ATTUNE_WORKER_EVALUATE_FIGURES_H_
