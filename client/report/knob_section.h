// How the figures of a version with a linear head move with its knob t.

#ifndef ATTUNE_CLIENT_REPORT_KNOB_SECTION_H_
#define ATTUNE_CLIENT_REPORT_KNOB_SECTION_H_

#include <optional>
#include <string>
#include <vector>

#include "attune/v1/job_service.pb.h"
#include "client/report/html.h"

namespace attune::client {

struct KnobFigure {
  std::string name;
  // Shown in per cent.
  bool is_share = true;
};

struct KnobPoint {
  double t = 0;
  // Of each figure; unset where this point has none.
  std::vector<std::optional<double>> values;
};

struct KnobCurve {
  std::string title;
  std::vector<KnobFigure> figures;
  // By ascending t.
  std::vector<KnobPoint> points;
};

// An evaluation and what was asked for.
struct KnobEvaluation {
  v1::Evaluation evaluation;
  v1::EvaluateSpec spec;
};

// A curve for each version and dataset that was evaluated at two or more t with
// everything else alike (templates, seed, ...): of the evaluations, newest
// first, those that say a t, the newest of each. The titles name the settings
// where a version has several curves on a dataset.
std::vector<KnobCurve> KnobCurves(
    const std::vector<KnobEvaluation>& evaluations);

// Charts and a table of each curve; nothing without any.
void WriteKnobCurves(const std::vector<KnobCurve>& curves, HtmlWriter& html);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_REPORT_KNOB_SECTION_H_
