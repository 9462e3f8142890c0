// The figures of an evaluation, from what versions answer.
//
// A figure is over all rows or over the rows of a part; one without rows is
// absent. Pure functions, thread-safe.

#ifndef ATTUNE_WORKER_EVALUATE_FIGURES_H_
#define ATTUNE_WORKER_EVALUATE_FIGURES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/statistics/bootstrap.h"
#include "worker/evaluate/outcomes.h"

namespace attune::evaluate {

struct Figure {
  std::string name;
  // A share in [0, 1]; skew_kl is in nats.
  double value = 0;
  // Rows it was computed over, > 0.
  int64_t count = 0;
  // 95 % bootstrap interval.
  std::optional<statistics::Interval> interval = {};
  // The part: of a class, or of an attribute's group; all "" for all rows.
  std::string class_label = {};
  std::string attribute = {};
  std::string group = {};
  std::string candidate = {};

  friend bool operator==(const Figure&, const Figure&) = default;
};

// A figure of a version minus the same of another, over the same rows.
struct Comparison {
  // Value and interval are of the difference, from paired resamples.
  Figure difference;
  // Rows that count for the one version only, and McNemar's p-value; unset for
  // figures that count no rows.
  int64_t only_model = 0;
  int64_t only_against = 0;
  std::optional<double> p_value = {};
};

// A division of the rows by class ("" as attribute) or by an attribute.
struct Division {
  std::string attribute;
  std::vector<std::string> names;
  // For each row the number of its name, or -1 for none.
  std::vector<int64_t> part_of_row;
};

// What a version answers. Rows are numbered over all kinds of examples.
struct Answers {
  std::vector<Outcomes> outcomes;
  // For each row its candidate; empty when no attribute divides the rows.
  std::vector<int64_t> assigned;
};

struct Report {
  std::vector<Figure> figures;
  // Empty without a version to compare with.
  std::vector<Figure> against_figures;
  std::vector<Comparison> comparisons;
};

// The figures over all rows, without intervals.
std::vector<Figure> PlainFigures(const std::vector<Outcomes>& outcomes);

// All figures, over all rows and the parts of every division, with intervals;
// for attributes the concept skew too. `against`, of the same rows, may be
// null; `candidates` are the texts that `assigned` numbers.
Report MakeReport(
    const Answers& model, const Answers* against,
    const std::vector<Division>& divisions,
    const std::vector<std::string>& candidates,
    const statistics::BootstrapOptions& options,
    const WorkListener& worked = [] {});

}  // namespace attune::evaluate

#endif  // ATTUNE_WORKER_EVALUATE_FIGURES_H_
