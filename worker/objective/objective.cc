#include "worker/objective/objective.h"

#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace attune::objective {

// A line for each objective here and in the list below; each is in the file of
// its name. `options.at` throws for an option that is not there.
Objective Dpo(const ObjectiveValues& options);
Objective Ipo(const ObjectiveValues& options);
Objective Kto(const ObjectiveValues& options);
Objective Ce(const ObjectiveValues& options);
Objective InfoNce(const ObjectiveValues& options);

namespace {

struct Entry {
  absl::string_view name;
  Objective (*make)(const ObjectiveValues& options);
};

constexpr Entry kObjectives[] = {
    {"dpo", Dpo}, {"ipo", Ipo}, {"kto", Kto}, {"ce", Ce}, {"infonce", InfoNce},
};

}  // namespace

absl::StatusOr<Objective> MakeObjective(absl::string_view name,
                                        const ObjectiveValues& options) {
  for (const Entry& entry : kObjectives) {
    if (entry.name != name) continue;
    try {
      return entry.make(options);
    } catch (const std::out_of_range&) {
      return Error(
          absl::StatusCode::kInvalidArgument, "MISSING_OPTION",
          absl::StrCat("an option of the objective ", name, " has no value"));
    }
  }
  return Error(absl::StatusCode::kInvalidArgument, "UNKNOWN_OBJECTIVE",
               absl::StrCat("this worker does not know the objective '", name,
                            "': update it"));
}

}  // namespace attune::objective
