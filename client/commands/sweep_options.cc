#include "client/commands/sweep_options.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/commands/context.h"
#include "client/commands/job_options.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

constexpr size_t kMaxPoints = 1'000;

bool IsNumber(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return absl::StartsWith(type, "FLOAT") || absl::StartsWith(type, "INT") ||
         absl::StartsWith(type, "UINT");
}

// What `job submit` makes of these arguments.
absl::StatusOr<v1::TrainSpec> ParseSubmit(std::vector<std::string> arguments) {
  CLI::App submit;
  JobOptions options;
  AddJobOptions(submit, options);
  // CLI11 takes the arguments from the back.
  std::reverse(arguments.begin(), arguments.end());
  try {
    submit.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return UsageError(error.what());
  }
  return ToTrainSpec(options);
}

}  // namespace

void SweepOptions::AddTo(CLI::App& command) {
  CLI::App submit;
  JobOptions unused;
  AddJobOptions(submit, unused);
  for (const CLI::Option* option : submit.get_options()) {
    if (option == submit.get_help_ptr()) continue;
    const bool is_flag = option->get_items_expected_max() == 0;
    for (const std::string& name : option->get_lnames()) {
      given_.push_back(std::make_unique<Given>());
      Given& given = *given_.back();
      given.name = name;
      given.is_flag = is_flag;
      given.repeats = option->get_items_expected_max() > 1;
      const std::string flag = absl::StrCat("--", name);
      if (is_flag) {
        command.add_flag(flag, given.flag_count, option->get_description());
        continue;
      }
      CLI::Option* added =
          command.add_option(flag, given.values, option->get_description())
              ->allow_extra_args(false)
              ->required(option->get_required() || name == "eval-dataset")
              ->type_name(IsNumber(*option) ? "NUMBER,..."
                                            : option->get_type_name());
      if (IsNumber(*option)) added->delimiter(',');
      if (!option->get_default_str().empty()) {
        added->default_str(option->get_default_str());
      }
    }
  }
}

absl::StatusOr<std::vector<SweepPoint>> SweepOptions::Expand() const {
  // Arguments that every job has, and the lists.
  std::vector<std::string> common;
  std::vector<const Given*> lists;
  size_t count = 1;
  for (const std::unique_ptr<Given>& given : given_) {
    if (given->flag_count > 0)
      common.push_back(absl::StrCat("--", given->name));
    if (given->values.size() == 1 || given->repeats) {
      for (const std::string& value : given->values) {
        common.push_back(absl::StrCat("--", given->name, "=", value));
      }
    } else if (given->values.size() > 1) {
      lists.push_back(given.get());
      count *= given->values.size();
      if (count > kMaxPoints) {
        return UsageError(absl::StrCat("a sweep makes at most ", kMaxPoints,
                                       " jobs: give fewer values"));
      }
    }
  }
  if (lists.empty()) {
    return UsageError(
        "nothing is swept: give an option several values, as in "
        "--beta 0.1,0.3,1");
  }
  std::vector<SweepPoint> points;
  for (size_t i = 0; i < count; ++i) {
    SweepPoint point;
    std::vector<std::string> arguments = common;
    // The digits of i, the last list's least significant.
    size_t rest = i, block = count;
    for (const Given* list : lists) {
      block /= list->values.size();
      const std::string& value = list->values[rest / block];
      rest %= block;
      point.values.emplace_back(list->name, value);
      arguments.push_back(absl::StrCat("--", list->name, "=", value));
    }
    ATTUNE_ASSIGN_OR_RETURN(point.spec, ParseSubmit(std::move(arguments)));
    point.spec.set_output_model(
        absl::StrCat(point.spec.output_model(), "-", i + 1));
    points.push_back(std::move(point));
  }
  return points;
}

}  // namespace attune::client
