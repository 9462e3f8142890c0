// An evaluation's figures on the wire.

#include <google/protobuf/repeated_field.h>

#include <string>

#include "worker/task/evaluator.h"

namespace attune::task {
namespace {

// A training's two of them stay well below a message's 4 MiB.
constexpr size_t kMaxBytes = 1'500'000;

v1::Figure ToProto(const evaluate::Figure& figure) {
  v1::Figure proto;
  proto.set_name(figure.name);
  proto.set_value(figure.value);
  proto.set_count(figure.count);
  if (figure.interval.has_value()) {
    proto.set_low(figure.interval->low);
    proto.set_high(figure.interval->high);
  }
  proto.set_class_label(figure.class_label);
  proto.set_attribute(figure.attribute);
  proto.set_group(figure.group);
  proto.set_candidate(figure.candidate);
  return proto;
}

// What of the figures of parts is sent. A table by class has a thousand rows,
// the shares of candidates as many, and the skew of an attribute two: so it is
// the last to be left out.
enum class Parts { kAll, kNoClasses, kNoShares, kSkewAlone, kNone };

bool Has(Parts parts, const evaluate::Figure& figure) {
  if (!figure.class_label.empty()) return parts < Parts::kNoClasses;
  if (!figure.candidate.empty()) return parts < Parts::kNoShares;
  if (!figure.group.empty()) return parts < Parts::kSkewAlone;
  return figure.attribute.empty() || parts < Parts::kNone;
}

v1::EvaluateResult ToProto(const evaluate::Report& report, Parts sent) {
  v1::EvaluateResult proto;
  const auto add = [&](const std::vector<evaluate::Figure>& figures,
                       auto* whole, auto* parts) {
    for (const evaluate::Figure& figure : figures) {
      if (!Has(sent, figure)) continue;
      const bool part =
          !figure.class_label.empty() || !figure.attribute.empty();
      *(part ? parts : whole)->Add() = ToProto(figure);
    }
  };
  add(report.figures, proto.mutable_figures(), proto.mutable_part_figures());
  add(report.against_figures, proto.mutable_against_figures(),
      proto.mutable_against_part_figures());
  for (const evaluate::Comparison& comparison : report.comparisons) {
    if (!Has(sent, comparison.difference)) continue;
    v1::FigureComparison* added = proto.add_comparisons();
    *added->mutable_difference() = ToProto(comparison.difference);
    added->set_only_model(comparison.only_model);
    added->set_only_against(comparison.only_against);
    if (comparison.p_value.has_value()) {
      added->set_p_value(*comparison.p_value);
    }
  }
  return proto;
}

}  // namespace

v1::EvaluateResult ToResult(const evaluate::Report& report) {
  v1::EvaluateResult result;
  for (const Parts sent : {Parts::kAll, Parts::kNoClasses, Parts::kNoShares,
                           Parts::kSkewAlone, Parts::kNone}) {
    result = ToProto(report, sent);
    if (result.ByteSizeLong() <= kMaxBytes) break;
  }
  return result;
}

}  // namespace attune::task
