#include "server/core/datasets/evaluation_checks.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/bounds.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "server/core/datasets/dataset_checks.h"

namespace attune::core {
namespace {

using storage::Dataset;
using storage::Example;

constexpr int64_t kMinGroupSize = 2;
constexpr size_t kMaxGroups = 50;

using GroupSizes = std::map<std::string, int64_t>;

// The figures, of those that a guard may name, that the dataset has rows for.
absl::StatusOr<std::set<std::string>> FiguresWithRows(
    storage::StateTransaction& transaction, const Dataset& dataset) {
  std::set<std::string> figures;
  ATTUNE_RETURN_IF_ERROR(ForEachExample(
      transaction, dataset, [&](const Example& example) -> absl::Status {
        if (example.kind == storage::ExampleKind::kPair) {
          figures.insert("pair_accuracy");
        } else if (example.kind == storage::ExampleKind::kLabelled) {
          if (example.other_text.empty()) {
            figures.insert({"clean_top1", "clean_top5"});
          } else {
            figures.insert("attacked_top1");
          }
        }
        return absl::OkStatus();
      }));
  if (dataset.counts.caption > 0) {
    for (const char* query : {"image", "text"}) {
      for (const int limit : {1, 5, 10}) {
        figures.insert(absl::StrCat("recall_at_", limit, "_", query));
      }
    }
  }
  return figures;
}

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

absl::Status ResolveGuard(storage::StateTransaction& transaction,
                          const Dataset& dataset,
                          storage::GuardOptions& guard) {
  ATTUNE_ASSIGN_OR_RETURN(const std::set<std::string> figures,
                          FiguresWithRows(transaction, dataset));
  const auto check = [&](const std::string& figure,
                         absl::string_view field) -> absl::Status {
    if (figures.count(figure) > 0) return absl::OkStatus();
    const std::string problem = absl::StrCat(
        "dataset '", dataset.name, "' has no examples for ", figure,
        ": it has those for ", absl::StrJoin(figures, ", "));
    return WithErrorFields(Error(absl::StatusCode::kFailedPrecondition,
                                 "FIGURE_WITHOUT_ROWS", problem),
                           {{std::string(field), problem}});
  };
  for (const auto& [figure, drop] : guard.max_drop) {
    ATTUNE_RETURN_IF_ERROR(
        check(figure, absl::StrCat("train.guard.max_drop[", figure, "]")));
  }
  if (!guard.best_by.empty()) {
    return check(guard.best_by, "train.guard.best_by");
  }
  for (const std::string& figure : BoundableFigures()) {
    if (figures.count(figure) == 0) continue;
    guard.best_by = figure;
    break;
  }
  return absl::OkStatus();
}

}  // namespace attune::core
