#include "server/core/evaluation_checks.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "server/core/dataset_checks.h"

namespace attune::core {
namespace {

using storage::Dataset;
using storage::Example;

constexpr int64_t kMinGroupSize = 2;
constexpr size_t kMaxGroups = 50;

using GroupSizes = std::map<std::string, int64_t>;

absl::Status CheckSizes(const Dataset& dataset, const std::string& attribute,
                        const GroupSizes& sizes) {
  const std::string where = absl::StrCat("attribute '", attribute,
                                         "' of dataset '", dataset.name, "'");
  for (const auto& [group, size] : sizes) {
    if (size >= kMinGroupSize) continue;
    return Error(absl::StatusCode::kFailedPrecondition, "GROUP_TOO_SMALL",
                 absl::StrCat("group '", group, "' of ", where,
                              " has 1 example, and a share needs 2: add "
                              "examples, or leave the attribute out of "
                              "group_by"));
  }
  if (sizes.size() < 2) {
    return Error(
        absl::StatusCode::kFailedPrecondition, "SINGLE_GROUP",
        absl::StrCat(where, " has the one value '", sizes.begin()->first,
                     "', so there are no groups to compare: leave it "
                     "out of group_by"));
  }
  if (sizes.size() > kMaxGroups) {
    return Error(absl::StatusCode::kFailedPrecondition, "TOO_MANY_GROUPS",
                 absl::StrCat(where, " has ", sizes.size(),
                              " values, and a table takes ", kMaxGroups,
                              ": group by an attribute with fewer"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckClassCount(const Dataset& dataset) {
  if (dataset.counts.labelled == 0 || dataset.candidates.size() != 1) {
    return absl::OkStatus();
  }
  return Error(
      absl::StatusCode::kFailedPrecondition, "SINGLE_CANDIDATE",
      absl::StrCat("dataset '", dataset.name, "' has the one candidate '",
                   dataset.candidates.front(),
                   "', so that every answer is right: make it again "
                   "with all classes as candidates"));
}

absl::Status CheckGroups(storage::StateTransaction& transaction,
                         const Dataset& dataset,
                         const storage::EvaluateSpec& spec) {
  if (spec.group_by.empty()) return absl::OkStatus();
  std::vector<GroupSizes> sizes(spec.group_by.size());
  ATTUNE_RETURN_IF_ERROR(ForEachExample(
      transaction, dataset, [&](const Example& example) -> absl::Status {
        for (size_t i = 0; i < sizes.size(); ++i) {
          const auto found = example.attributes.find(spec.group_by[i]);
          if (found == example.attributes.end() || found->second.empty()) {
            continue;
          }
          ++sizes[i][found->second];
        }
        return absl::OkStatus();
      }));
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i].empty()) {
      return InvalidField(
          absl::StrCat("evaluate.group_by[", i, "]"),
          absl::StrCat("no example of dataset '", dataset.name,
                       "' has the attribute '", spec.group_by[i], "'"));
    }
    ATTUNE_RETURN_IF_ERROR(CheckSizes(dataset, spec.group_by[i], sizes[i]));
  }
  return absl::OkStatus();
}

}  // namespace attune::core
