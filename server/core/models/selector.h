#ifndef ATTUNE_SERVER_CORE_MODELS_SELECTOR_H_
#define ATTUNE_SERVER_CORE_MODELS_SELECTOR_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/state_store.h"

namespace attune::core {

// The alias that the server keeps itself.
inline constexpr absl::string_view kLatestAlias = "latest";

// Which version is meant: NAME (the same as NAME@latest), NAME:N, NAME@ALIAS.
struct Selector {
  std::string model;
  std::string alias;   // "" when a number is given
  int32_t number = 0;  // from 1; 0 when an alias is given

  friend bool operator==(const Selector&, const Selector&) = default;
};

// INVALID_ARGUMENT, reason INVALID_SELECTOR, naming `field`.
absl::StatusOr<Selector> ParseSelector(absl::string_view field,
                                       absl::string_view text);

// The version that a selector means now. NOT_FOUND without the model, the
// version or the alias.
absl::StatusOr<storage::Version> ResolveSelector(
    storage::StateTransaction& transaction, const Selector& selector);
absl::StatusOr<storage::Version> ResolveSelector(
    storage::StateTransaction& transaction, absl::string_view field,
    absl::string_view text);

// NAME:N, the form in which versions are stored and shown.
std::string VersionName(absl::string_view model, int32_t number);
std::string VersionName(const storage::Version& version);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_MODELS_SELECTOR_H_
