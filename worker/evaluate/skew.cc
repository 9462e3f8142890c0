#include "worker/evaluate/skew.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "absl/types/span.h"
#include "worker/evaluate/tally.h"

namespace attune::evaluate {
namespace {

using Rows = absl::Span<const int64_t>;

// Of an attribute: each needs its resamples.
constexpr size_t kMaxShares = 1'000;

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

// How many rows of each group are assigned to a candidate, of the candidates
// that have most.
std::map<int64_t, std::vector<Tally>> TallyShares(const Groups& model,
                                                  const Groups* against) {
  const std::vector<int64_t>& sizes = model.sizes();
  std::map<int64_t, std::vector<Tally>> shares;
  const auto tally = [&](int64_t candidate, size_t group) -> Tally& {
    std::vector<Tally>& tallies = shares[candidate];
    if (tallies.empty()) {
      for (const int64_t size : sizes) tallies.push_back({.count = size});
    }
    return tallies[group];
  };
  size_t row = 0;
  for (size_t group = 0; group < sizes.size(); ++group) {
    for (int64_t i = 0; i < sizes[group]; ++i, ++row) {
      const int64_t mine = model.assigned()[row];
      const int64_t other =
          against == nullptr ? kNoCandidate : against->assigned()[row];
      if (mine != kNoCandidate) {
        ++tally(mine, group).model;
        tally(mine, group).only_model += mine != other;
      }
      if (other != kNoCandidate) {
        ++tally(other, group).against;
        tally(other, group).only_against += mine != other;
      }
    }
  }
  const size_t kept = std::max<size_t>(1, kMaxShares / sizes.size());
  if (shares.size() <= kept) return shares;
  // By their rows with either version, then by their number.
  std::vector<std::pair<int64_t, int64_t>> order;
  for (const auto& [candidate, tallies] : shares) {
    int64_t rows = 0;
    for (const Tally& each : tallies) rows += each.model + each.only_against;
    order.emplace_back(-rows, candidate);
  }
  std::sort(order.begin(), order.end());
  for (size_t i = kept; i < order.size(); ++i) shares.erase(order[i].second);
  return shares;
}

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
  if (model.assigned().empty()) return;

  for (const auto& [candidate, tallies] : TallyShares(model, compared)) {
    for (size_t group = 0; group < division.names.size(); ++group) {
      AddFigure({.name = "skew_share",
                 .attribute = division.attribute,
                 .group = division.names[group],
                 .candidate = candidates[candidate]},
                tallies[group], compared != nullptr, options, report);
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
