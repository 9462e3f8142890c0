#include "worker/task/guard.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/error.h"

namespace attune::task {

using Json = nlohmann::json;

Guard::Guard(Options options, FigureValues base)
    : options_(std::move(options)), base_(std::move(base)) {}

Guard::Verdict Guard::Judge(int64_t step, const FigureValues& figures) {
  Verdict verdict;
  judged_step_ = step;
  const std::vector<std::string> broken =
      BrokenBounds(options_.max_drop, base_, figures);
  const auto found = figures.find(options_.best_by);
  const bool measured = found != figures.end();
  verdict.sentence = absl::StrCat("Step ", step, ": ");
  if (measured) {
    absl::StrAppendFormat(&verdict.sentence, "%s %.4f", options_.best_by,
                          found->second);
  } else {
    absl::StrAppend(&verdict.sentence, options_.best_by, " was not measured");
  }
  // NaN is never better.
  verdict.best = broken.empty() && measured &&
                 (best_step_.has_value() ? found->second > best_value_
                                         : found->second >= 0);
  if (!broken.empty()) {
    absl::StrAppend(&verdict.sentence, "; ", absl::StrJoin(broken, "; "));
  } else if (verdict.best) {
    absl::StrAppend(&verdict.sentence, ", the best that holds the bounds");
  } else {
    absl::StrAppend(&verdict.sentence, ", no better");
  }
  if (verdict.best) {
    best_step_ = step;
    best_value_ = found->second;
    since_best_ = 0;
  } else {
    ++since_best_;
  }
  if (options_.patience > 0 && since_best_ >= options_.patience) {
    stopped_ = true;
    verdict.stop = true;
    absl::StrAppend(&verdict.sentence, "; ending here after ", since_best_,
                    since_best_ == 1 ? " evaluation" : " evaluations",
                    " without a better one");
  }
  return verdict;
}

std::string Guard::Note(int64_t total_steps) const {
  std::string note;
  if (stopped_) {
    note = absl::StrCat("Ended early after step ", judged_step_, " of ",
                        total_steps, ". ");
  }
  if (!best_step_.has_value()) {
    return absl::StrCat(note, "No step held the bounds");
  }
  absl::StrAppendFormat(&note,
                        "Kept step %d, the best that held the bounds "
                        "(%s %.4f)",
                        *best_step_, options_.best_by, best_value_);
  return note;
}

std::string Guard::ToJson() const {
  Json json = {{"base", base_},
               {"judged_step", judged_step_},
               {"since_best", since_best_},
               {"stopped", stopped_}};
  if (best_step_.has_value()) {
    json["best_step"] = *best_step_;
    json["best_value"] = best_value_;
  }
  return json.dump();
}

absl::StatusOr<Guard> Guard::FromJson(Options options, absl::string_view json) {
  const Json state = Json::parse(json.begin(), json.end(), nullptr,
                                 /*allow_exceptions=*/false);
  try {
    Guard guard(std::move(options), state.at("base").get<FigureValues>());
    guard.judged_step_ = state.at("judged_step").get<int64_t>();
    guard.since_best_ = state.at("since_best").get<int>();
    guard.stopped_ = state.at("stopped").get<bool>();
    if (state.contains("best_step")) {
      guard.best_step_ = state.at("best_step").get<int64_t>();
      guard.best_value_ = state.at("best_value").get<double>();
    }
    return guard;
  } catch (const Json::exception&) {
    return Error(absl::StatusCode::kDataLoss, "INVALID_CHECKPOINT",
                 "the checkpoint has no readable state of its guard");
  }
}

}  // namespace attune::task
