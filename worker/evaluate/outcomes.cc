#include "worker/evaluate/outcomes.h"

#include <ATen/ops/matmul.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "worker/model/clip.h"

namespace attune::evaluate {
namespace {

// Queries scored at a time: a block of scores stays small.
constexpr int64_t kBlock = 1024;

using Scores = absl::Span<const float>;

// Calls visit(i, the scores of query i against all keys) for each row of
// `queries` [N, D] against `keys` [M, D], and worked() after each block.
void ForEachRow(const at::Tensor& queries, const at::Tensor& keys,
                const WorkListener& worked,
                const std::function<void(int64_t, Scores)>& visit) {
  const int64_t count = queries.size(0);
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t size = std::min(kBlock, count - begin);
    const at::Tensor scores =
        at::matmul(queries.narrow(0, begin, size), keys.t())
            .to(at::kCPU, at::kFloat)
            .contiguous();
    for (int64_t i = 0; i < size; ++i) {
      visit(begin + i, Scores(scores.const_data_ptr<float>() + i * keys.size(0),
                              static_cast<size_t>(keys.size(0))));
    }
    worked();
  }
}

// How many keys come before `target`. Written so that comparisons with NaN
// put the target last.
int64_t Rank(Scores scores, int64_t target) {
  const float own = scores[target];
  int64_t rank = 0;
  for (int64_t key = 0; key < static_cast<int64_t>(scores.size()); ++key) {
    if (key < target) rank += !(scores[key] < own);
    if (key > target) rank += !(scores[key] <= own);
  }
  return rank;
}

void Add(Outcomes& outcomes, int64_t row, bool counts) {
  outcomes.rows.push_back(row);
  outcomes.counts.push_back(counts ? 1 : 0);
}

// Recall at 1, 5 and 10 of the ranks added.
class Recall {
 public:
  Recall(absl::string_view query, bool of_images) {
    for (const int limit : kLimits) {
      recalls_.push_back({.name = absl::StrCat("recall_at_", limit, "_", query),
                          .of_images = of_images});
    }
  }
  void Add(int64_t row, int64_t rank) {
    for (size_t i = 0; i < recalls_.size(); ++i) {
      evaluate::Add(recalls_[i], row, rank < kLimits[i]);
    }
  }
  void MoveTo(std::vector<Outcomes>& all) {
    all.insert(all.end(), std::make_move_iterator(recalls_.begin()),
               std::make_move_iterator(recalls_.end()));
  }

 private:
  static constexpr std::array<int, 3> kLimits = {1, 5, 10};
  std::vector<Outcomes> recalls_;
};

}  // namespace

std::vector<Outcomes> ZeroShotOutcomes(const at::Tensor& images,
                                       const at::Tensor& candidates,
                                       const std::vector<int64_t>& labels,
                                       const std::vector<int64_t>& attacks,
                                       const WorkListener& worked) {
  Outcomes clean_top1 = {.name = "clean_top1"};
  Outcomes clean_top5 = {.name = "clean_top5"};
  Outcomes attacked_top1 = {.name = "attacked_top1"};
  Outcomes attack_success = {.name = "attack_success"};
  ForEachRow(images, candidates, worked, [&](int64_t i, Scores scores) {
    const int64_t rank = Rank(scores, labels[i]);
    if (attacks[i] == kNoAttack) {
      Add(clean_top1, i, rank < 1);
      Add(clean_top5, i, rank < 5);
    } else {
      Add(attacked_top1, i, rank < 1);
      Add(attack_success, i, Rank(scores, attacks[i]) < 1);
    }
  });
  std::vector<Outcomes> all;
  for (Outcomes* outcomes :
       {&clean_top1, &clean_top5, &attacked_top1, &attack_success}) {
    if (!outcomes->rows.empty()) all.push_back(std::move(*outcomes));
  }
  return all;
}

Outcomes PairOutcomes(const at::Tensor& images, const at::Tensor& texts,
                      const std::vector<int64_t>& preferred,
                      const std::vector<int64_t>& rejected,
                      const WorkListener& worked) {
  Outcomes accuracy = {.name = "pair_accuracy"};
  ForEachRow(images, texts, worked, [&](int64_t i, Scores scores) {
    Add(accuracy, i, scores[preferred[i]] > scores[rejected[i]]);
  });
  return accuracy;
}

std::vector<Outcomes> RetrievalOutcomes(const at::Tensor& images,
                                        const at::Tensor& texts,
                                        const std::vector<int64_t>& captions,
                                        const WorkListener& worked) {
  Recall image_to_text("image", /*of_images=*/true);
  Recall text_to_image("text", /*of_images=*/false);
  ForEachRow(images, texts, worked, [&](int64_t i, Scores scores) {
    image_to_text.Add(i, Rank(scores, captions[i]));
  });
  std::vector<std::vector<int64_t>> images_of(texts.size(0));
  for (size_t image = 0; image < captions.size(); ++image) {
    images_of[captions[image]].push_back(static_cast<int64_t>(image));
  }
  ForEachRow(texts, images, worked, [&](int64_t text, Scores scores) {
    if (images_of[text].empty()) return;
    int64_t best = images_of[text].front();
    for (int64_t image : images_of[text]) {
      if (scores[image] > scores[best]) best = image;
    }
    text_to_image.Add(text, Rank(scores, best));
  });
  std::vector<Outcomes> all;
  image_to_text.MoveTo(all);
  text_to_image.MoveTo(all);
  return all;
}

std::vector<int64_t> AssignedCandidates(const at::Tensor& images,
                                        const at::Tensor& candidates,
                                        const WorkListener& worked) {
  std::vector<int64_t> assigned;
  ForEachRow(images, candidates, worked, [&](int64_t, Scores scores) {
    int64_t best = kNoCandidate;
    for (int64_t c = 0; c < static_cast<int64_t>(scores.size()); ++c) {
      if (std::isnan(scores[c])) continue;
      if (best == kNoCandidate || scores[c] > scores[best]) best = c;
    }
    assigned.push_back(best);
  });
  return assigned;
}

at::Tensor AverageTemplates(const at::Tensor& embeddings) {
  return model::Normalised(model::Normalised(embeddings).mean(1));
}

}  // namespace attune::evaluate
