#include "server/core/models/selector.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/names.h"
#include "common/status_macros.h"

namespace attune::core {
namespace {

absl::Status InvalidSelector(absl::string_view field, absl::string_view text) {
  return InvalidFields(
      "INVALID_SELECTOR",
      {{std::string(field),
        absl::StrCat("'", absl::CHexEscape(text.substr(0, 80)),
                     "' is no version: write NAME, NAME:N or NAME@ALIAS")}});
}

}  // namespace

absl::StatusOr<Selector> ParseSelector(absl::string_view field,
                                       absl::string_view text) {
  Selector selector;
  const size_t separator = text.find_first_of(":@");
  selector.model = std::string(text.substr(0, separator));
  if (!ValidateName(field, selector.model).ok()) {
    return InvalidSelector(field, text);
  }
  if (separator == absl::string_view::npos) {
    selector.alias = std::string(kLatestAlias);
    return selector;
  }
  const absl::string_view rest = text.substr(separator + 1);
  if (text[separator] == '@') {
    if (!ValidateName(field, rest).ok()) return InvalidSelector(field, text);
    selector.alias = std::string(rest);
    return selector;
  }
  // SimpleAtoi alone would take " 1", "+1" and "01".
  if (rest.empty() || rest.front() == '0' ||
      !std::all_of(rest.begin(), rest.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(rest, &selector.number)) {
    return InvalidSelector(field, text);
  }
  return selector;
}

absl::StatusOr<storage::Version> ResolveSelector(
    storage::StateTransaction& transaction, const Selector& selector) {
  storage::ModelStore& models = transaction.models();
  if (selector.number != 0) {
    return models.GetVersion(selector.model, selector.number);
  }
  ATTUNE_ASSIGN_OR_RETURN(const storage::Model model,
                          models.Get(selector.model));
  const auto found = model.aliases.find(selector.alias);
  if (found == model.aliases.end()) {
    return NotFound("alias", absl::StrCat(selector.model, "@", selector.alias));
  }
  return models.GetVersion(selector.model, found->second);
}

absl::StatusOr<storage::Version> ResolveSelector(
    storage::StateTransaction& transaction, absl::string_view field,
    absl::string_view text) {
  ATTUNE_ASSIGN_OR_RETURN(const Selector selector, ParseSelector(field, text));
  return ResolveSelector(transaction, selector);
}

std::string VersionName(absl::string_view model, int32_t number) {
  return absl::StrCat(model, ":", number);
}

std::string VersionName(const storage::Version& version) {
  return VersionName(version.model, version.number);
}

}  // namespace attune::core
