#include "common/bounds.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace attune {
namespace {

// Shares are quotients of counts: 0.90 − 0.89 is a little more than 0.01.
constexpr double kRounding = 1e-9;

}  // namespace

const std::vector<std::string>& BoundableFigures() {
  static const std::vector<std::string>& figures =
      *new std::vector<std::string>{"attacked_top1",      "pair_accuracy",
                                    "recall_at_1_image",  "clean_top1",
                                    "clean_top5",         "recall_at_5_image",
                                    "recall_at_10_image", "recall_at_1_text",
                                    "recall_at_5_text",   "recall_at_10_text"};
  return figures;
}

bool IsBoundable(absl::string_view figure) {
  const std::vector<std::string>& all = BoundableFigures();
  return std::find(all.begin(), all.end(), figure) != all.end();
}

std::vector<std::string> BrokenBounds(
    const std::map<std::string, double>& max_drop, const FigureValues& base,
    const FigureValues& figures) {
  std::vector<std::string> broken;
  for (const auto& [name, drop] : max_drop) {
    const auto before = base.find(name);
    const auto after = figures.find(name);
    if (before == base.end() || after == figures.end()) {
      broken.push_back(absl::StrCat(name, " was not measured"));
      continue;
    }
    // NaN breaks the bound.
    if (before->second - after->second <= drop + kRounding) continue;
    broken.push_back(
        absl::StrFormat("%s fell from %.4f to %.4f, by more than "
                        "%.4f",
                        name, before->second, after->second, drop));
  }
  return broken;
}

}  // namespace attune
