#include "client/commands/knob_sweep.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "client/commands/context.h"
#include "client/commands/table.h"

namespace attune::client {
namespace {

constexpr double kMaxSettings = 200;
// So that -1 + 3 × 0.1 becomes -0.7 and not -0.6999999999999999.
constexpr double kGrain = 1e9;

// Figures over all examples that an evaluation has, in their order; a skew's
// name is not enough to tell it.
std::vector<std::string> FigureNames(
    const std::vector<v1::Evaluation>& evaluations) {
  std::vector<std::string> names;
  for (const v1::Evaluation& evaluation : evaluations) {
    for (const v1::Figure& figure : evaluation.figures()) {
      if (!absl::c_linear_search(names, figure.name())) {
        names.push_back(figure.name());
      }
    }
  }
  return names;
}

}  // namespace

absl::StatusOr<std::vector<double>> ParseKnobSweep(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  std::vector<double> numbers(parts.size());
  bool good = parts.size() == 3;
  for (size_t i = 0; i < parts.size() && good; ++i) {
    good = absl::SimpleAtod(parts[i], &numbers[i]) && std::isfinite(numbers[i]);
  }
  if (!good || numbers[2] <= 0 || numbers[1] < numbers[0]) {
    return UsageError(absl::StrCat(
        "--t-sweep ", text,
        ": must be FIRST:LAST:STEP with a step above 0, such as -1:1:0.1"));
  }
  const double last = std::floor((numbers[1] - numbers[0]) / numbers[2] + 1e-9);
  if (last + 1 > kMaxSettings) {
    return UsageError(absl::StrCat("--t-sweep ", text, ": has more than ",
                                   kMaxSettings, " settings"));
  }
  std::vector<double> settings;
  for (double i = 0; i <= last; ++i) {
    // Adding 0 makes -0 to 0.
    settings.push_back(
        std::round((numbers[0] + i * numbers[2]) * kGrain) / kGrain + 0.0);
  }
  return settings;
}

void PrintKnobCurve(const std::vector<v1::Evaluation>& evaluations,
                    std::ostream& out) {
  const std::vector<std::string> names = FigureNames(evaluations);
  std::vector<std::string> header = {"T"};
  for (const std::string& name : names) {
    header.push_back(absl::AsciiStrToUpper(name));
    header.push_back("95 %");
  }
  header.push_back("JOB_ID");
  Table table(std::move(header));
  for (const v1::Evaluation& evaluation : evaluations) {
    std::vector<std::string> cells = {absl::StrCat(evaluation.t())};
    for (const std::string& name : names) {
      const auto figure = absl::c_find_if(
          evaluation.figures(),
          [&](const v1::Figure& each) { return each.name() == name; });
      const bool found = figure != evaluation.figures().end();
      cells.push_back(found ? absl::StrFormat("%.4f", figure->value()) : "");
      cells.push_back(
          found && figure->has_low()
              ? absl::StrFormat("[%.3f, %.3f]", figure->low(), figure->high())
              : "");
    }
    cells.push_back(evaluation.job_id());
    table.AddRow(std::move(cells));
  }
  table.Print(out);
}

}  // namespace attune::client
