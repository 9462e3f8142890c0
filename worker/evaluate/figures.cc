#include "worker/evaluate/figures.h"

#include "worker/evaluate/skew.h"
#include "worker/evaluate/tally.h"

namespace attune::evaluate {
namespace {

// The figure over each part of a division.
void AddParts(const Outcomes& model, const Outcomes* against,
              const Division& division,
              const statistics::BootstrapOptions& options,
              const WorkListener& worked, Report& report) {
  std::vector<Tally> tallies(division.names.size());
  for (size_t i = 0; i < model.rows.size(); ++i) {
    const int64_t part = division.part_of_row[model.rows[i]];
    if (part < 0) continue;
    tallies[part].Add(model.counts[i] != 0,
                      against != nullptr && against->counts[i] != 0);
  }
  for (size_t part = 0; part < tallies.size(); ++part) {
    Figure figure = {.name = model.name};
    if (division.attribute.empty()) {
      figure.class_label = division.names[part];
    } else {
      figure.attribute = division.attribute;
      figure.group = division.names[part];
    }
    AddFigure(figure, tallies[part], against != nullptr, options, report);
    worked();
  }
}

}  // namespace

std::vector<Figure> PlainFigures(const std::vector<Outcomes>& outcomes) {
  std::vector<Figure> figures;
  for (const Outcomes& each : outcomes) {
    Tally tally;
    for (const uint8_t counts : each.counts) tally.Add(counts != 0, false);
    figures.push_back({.name = each.name,
                       .value = Share(tally.model, tally.count),
                       .count = tally.count});
  }
  return figures;
}

Report MakeReport(const Answers& model, const Answers* against,
                  const std::vector<Division>& divisions,
                  const std::vector<std::string>& candidates,
                  const statistics::BootstrapOptions& options,
                  const WorkListener& worked) {
  Report report;
  const auto other = [against](size_t i) {
    return against == nullptr ? nullptr : &against->outcomes[i];
  };
  for (size_t i = 0; i < model.outcomes.size(); ++i) {
    const Outcomes& outcomes = model.outcomes[i];
    Tally tally;
    for (size_t row = 0; row < outcomes.rows.size(); ++row) {
      tally.Add(outcomes.counts[row] != 0,
                against != nullptr && other(i)->counts[row] != 0);
    }
    AddFigure({.name = outcomes.name}, tally, against != nullptr, options,
              report);
    worked();
  }
  for (const Division& division : divisions) {
    for (size_t i = 0; i < model.outcomes.size(); ++i) {
      if (!model.outcomes[i].of_images) continue;
      AddParts(model.outcomes[i], other(i), division, options, worked, report);
    }
    if (division.attribute.empty() || candidates.empty()) continue;
    AddSkew(model.assigned, against == nullptr ? nullptr : &against->assigned,
            division, candidates, options, worked, report);
  }
  return report;
}

}  // namespace attune::evaluate
