#include "worker/evaluate/skew.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/types/span.h"
#include "worker/evaluate/tally.h"

namespace attune::evaluate {
namespace {

using Rows = absl::Span<const int64_t>;

// What the rows are assigned to, group after group.
class Groups {
 public:
  Groups(const std::vector<int64_t>& assigned, const Division& division,
         size_t candidates)
      : candidates_(candidates) {
    for (size_t group = 0; group < division.names.size(); ++group) {
      const size_t begin = assigned_.size();
      for (size_t row = 0; row < division.part_of_row.size(); ++row) {
        if (division.part_of_row[row] != static_cast<int64_t>(group)) continue;
        assigned_.push_back(assigned[row]);
      }
      sizes_.push_back(static_cast<int64_t>(assigned_.size() - begin));
    }
  }

  const std::vector<int64_t>& assigned() const { return assigned_; }
  const std::vector<int64_t>& sizes() const { return sizes_; }

  // The largest difference between groups in the share of a candidate, when
  // the rows of each group are the next of `rows`.
  double Gap(Rows rows) const {
    std::vector<double> least(candidates_, 1), most(candidates_, 0);
    for (const int64_t size : sizes_) {
      const std::vector<double> share =
          Distribution(rows.subspan(0, static_cast<size_t>(size)));
      rows.remove_prefix(static_cast<size_t>(size));
      for (size_t c = 0; c < candidates_; ++c) {
        least[c] = std::min(least[c], share[c]);
        most[c] = std::max(most[c], share[c]);
      }
    }
    double gap = 0;
    for (size_t c = 0; c < candidates_; ++c) {
      gap = std::max(gap, most[c] - least[c]);
    }
    return gap;
  }

  // Σ p log(p C)
  double Kl(Rows rows) const {
    double kl = 0;
    for (const double p : Distribution(rows)) {
      if (p > 0) kl += p * std::log(p * static_cast<double>(candidates_));
    }
    return kl;
  }

 private:
  std::vector<double> Distribution(Rows rows) const {
    std::vector<int64_t> counts(candidates_, 0);
    for (const int64_t row : rows) {
      if (assigned_[row] != kNoCandidate) ++counts[assigned_[row]];
    }
    std::vector<double> shares;
    for (const int64_t count : counts) {
      shares.push_back(Share(count, static_cast<int64_t>(rows.size())));
    }
    return shares;
  }

  size_t candidates_;
  std::vector<int64_t> assigned_;
  std::vector<int64_t> sizes_;
};

// Adds a statistic of groups for both versions, and its difference. The rows
// are those of the strata, the first being `first`. worked() after each
// resample: of many rows they take long.
template <typename Statistic>
void AddStatistic(Figure figure, const Groups& model, const Groups* against,
                  int64_t first, Rows strata, const Statistic& statistic,
                  const statistics::BootstrapOptions& options,
                  const WorkListener& worked, Report& report) {
  std::vector<int64_t> rows(static_cast<size_t>(
      std::accumulate(strata.begin(), strata.end(), int64_t{0})));
  std::iota(rows.begin(), rows.end(), first);
  figure.count = static_cast<int64_t>(rows.size());
  const auto fill = [&](const auto& of_rows) {
    std::vector<int64_t> sample(rows.size());
    figure.value = of_rows(rows);
    figure.interval = statistics::BootstrapStatistic(
        strata,
        [&](Rows drawn) {
          for (size_t i = 0; i < drawn.size(); ++i) sample[i] = rows[drawn[i]];
          worked();
          return of_rows(sample);
        },
        options);
  };
  fill([&](Rows sample) { return statistic(model, sample); });
  report.figures.push_back(figure);
  if (against == nullptr) return;
  fill([&](Rows sample) { return statistic(*against, sample); });
  report.against_figures.push_back(figure);
  fill([&](Rows sample) {
    return statistic(model, sample) - statistic(*against, sample);
  });
  report.comparisons.push_back({.difference = std::move(figure)});
}

}  // namespace

void AddSkew(const std::vector<int64_t>& assigned,
             const std::vector<int64_t>* against, const Division& division,
             const std::vector<std::string>& candidates,
             const statistics::BootstrapOptions& options,
             const WorkListener& worked, Report& report) {
  const Groups model(assigned, division, candidates.size());
  std::optional<Groups> other;
  if (against != nullptr) other.emplace(*against, division, candidates.size());
  const Groups* const compared = other.has_value() ? &*other : nullptr;
  const auto takes = [](const Groups* groups, size_t row, size_t candidate) {
    return groups != nullptr &&
           groups->assigned()[row] == static_cast<int64_t>(candidate);
  };
  const size_t row_count = model.assigned().size();
  if (row_count == 0) return;

  for (size_t candidate = 0; candidate < candidates.size(); ++candidate) {
    bool taken = false;
    for (size_t row = 0; row < row_count && !taken; ++row) {
      taken = takes(&model, row, candidate) || takes(compared, row, candidate);
    }
    if (!taken) continue;
    size_t row = 0;
    for (size_t group = 0; group < division.names.size(); ++group) {
      Tally tally;
      for (int64_t i = 0; i < model.sizes()[group]; ++i, ++row) {
        tally.Add(takes(&model, row, candidate),
                  takes(compared, row, candidate));
      }
      AddFigure({.name = "skew_share",
                 .attribute = division.attribute,
                 .group = division.names[group],
                 .candidate = candidates[candidate]},
                tally, compared != nullptr, options, report);
      worked();
    }
  }

  const auto gap = [](const Groups& groups, Rows rows) {
    return groups.Gap(rows);
  };
  const auto kl = [](const Groups& groups, Rows rows) {
    return groups.Kl(rows);
  };
  AddStatistic({.name = "skew_gap", .attribute = division.attribute}, model,
               compared, 0, model.sizes(), gap, options, worked, report);
  AddStatistic({.name = "skew_kl", .attribute = division.attribute}, model,
               compared, 0, model.sizes(), kl, options, worked, report);
  int64_t first = 0;
  for (size_t group = 0; group < division.names.size(); ++group) {
    const int64_t size = model.sizes()[group];
    if (size > 0) {
      AddStatistic({.name = "skew_kl",
                    .attribute = division.attribute,
                    .group = division.names[group]},
                   model, compared, first, {size}, kl, options, worked, report);
    }
    first += size;
  }
}

}  // namespace attune::evaluate
