#include "worker/evaluate/tally.h"

#include <utility>

#include "common/statistics/mcnemar.h"

namespace attune::evaluate {

void AddFigure(Figure figure, const Tally& tally, bool compared,
               const statistics::BootstrapOptions& options, Report& report) {
  if (tally.count == 0) return;
  figure.count = tally.count;
  const auto share = [&](int64_t part) {
    figure.value = Share(part, tally.count);
    figure.interval = statistics::BootstrapShare(part, tally.count, options);
    return figure;
  };
  report.figures.push_back(share(tally.model));
  if (!compared) return;
  report.against_figures.push_back(share(tally.against));
  figure.value = Share(tally.only_model - tally.only_against, tally.count);
  figure.interval = statistics::BootstrapDifference(
      tally.only_model, tally.only_against, tally.count, options);
  report.comparisons.push_back({.difference = std::move(figure),
                                .only_model = tally.only_model,
                                .only_against = tally.only_against,
                                .p_value = statistics::McNemarExact(
                                    tally.only_model, tally.only_against)});
}

}  // namespace attune::evaluate
