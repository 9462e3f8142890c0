#include "worker/evaluate/figures.h"

#include <ATen/ops/matmul.h>

#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "worker/model/clip.h"

namespace attune::evaluate {
namespace {

// Queries scored at a time: a block of scores stays small.
constexpr int64_t kBlock = 1024;

using Scores = absl::Span<const float>;

// Calls visit(i, the scores of query i against all keys) for each row of
// `queries` [N, D] against `keys` [M, D].
void ForEachRow(const at::Tensor& queries, const at::Tensor& keys,
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

// Counts rows and those that are right.
class Share {
 public:
  void Add(bool right) {
    ++count_;
    right_ += right;
  }
  void AppendTo(std::vector<Figure>& figures, absl::string_view name) const {
    if (count_ == 0) return;
    figures.push_back(
        {std::string(name),
         static_cast<double>(right_) / static_cast<double>(count_), count_});
  }

 private:
  int64_t count_ = 0;
  int64_t right_ = 0;
};

// Recall at 1, 5 and 10 of the ranks added.
class Recall {
 public:
  void Add(int64_t rank) {
    at_1_.Add(rank < 1);
    at_5_.Add(rank < 5);
    at_10_.Add(rank < 10);
  }
  void AppendTo(std::vector<Figure>& figures, absl::string_view query) const {
    at_1_.AppendTo(figures, absl::StrCat("recall_at_1_", query));
    at_5_.AppendTo(figures, absl::StrCat("recall_at_5_", query));
    at_10_.AppendTo(figures, absl::StrCat("recall_at_10_", query));
  }

 private:
  Share at_1_, at_5_, at_10_;
};

}  // namespace

std::vector<Figure> ZeroShotFigures(const at::Tensor& images,
                                    const at::Tensor& candidates,
                                    const std::vector<int64_t>& labels,
                                    const std::vector<int64_t>& attacks) {
  Share clean_top1, clean_top5, attacked_top1, attack_success;
  ForEachRow(images, candidates, [&](int64_t i, Scores scores) {
    const int64_t rank = Rank(scores, labels[i]);
    if (attacks[i] == kNoAttack) {
      clean_top1.Add(rank < 1);
      clean_top5.Add(rank < 5);
    } else {
      attacked_top1.Add(rank < 1);
      attack_success.Add(Rank(scores, attacks[i]) < 1);
    }
  });
  std::vector<Figure> figures;
  clean_top1.AppendTo(figures, "clean_top1");
  clean_top5.AppendTo(figures, "clean_top5");
  attacked_top1.AppendTo(figures, "attacked_top1");
  attack_success.AppendTo(figures, "attack_success");
  return figures;
}

std::vector<Figure> PairFigures(const at::Tensor& images,
                                const at::Tensor& texts,
                                const std::vector<int64_t>& preferred,
                                const std::vector<int64_t>& rejected) {
  Share accuracy;
  ForEachRow(images, texts, [&](int64_t i, Scores scores) {
    accuracy.Add(scores[preferred[i]] > scores[rejected[i]]);
  });
  std::vector<Figure> figures;
  accuracy.AppendTo(figures, "pair_accuracy");
  return figures;
}

std::vector<Figure> RetrievalFigures(const at::Tensor& images,
                                     const at::Tensor& texts,
                                     const std::vector<int64_t>& captions) {
  Recall image_to_text, text_to_image;
  ForEachRow(images, texts, [&](int64_t i, Scores scores) {
    image_to_text.Add(Rank(scores, captions[i]));
  });
  std::vector<std::vector<int64_t>> images_of(texts.size(0));
  for (size_t image = 0; image < captions.size(); ++image) {
    images_of[captions[image]].push_back(static_cast<int64_t>(image));
  }
  ForEachRow(texts, images, [&](int64_t text, Scores scores) {
    if (images_of[text].empty()) return;
    int64_t best = images_of[text].front();
    for (int64_t image : images_of[text]) {
      if (scores[image] > scores[best]) best = image;
    }
    text_to_image.Add(Rank(scores, best));
  });
  std::vector<Figure> figures;
  image_to_text.AppendTo(figures, "image");
  text_to_image.AppendTo(figures, "text");
  return figures;
}

at::Tensor AverageTemplates(const at::Tensor& embeddings) {
  return model::Normalised(model::Normalised(embeddings).mean(1));
}

}  // namespace attune::evaluate
