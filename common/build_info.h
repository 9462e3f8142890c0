#ifndef ATTUNE_COMMON_BUILD_INFO_H_
#define ATTUNE_COMMON_BUILD_INFO_H_

#include <string>

#include "absl/strings/string_view.h"

namespace attune {

// The project's version, such as "0.1.0".
absl::string_view BuildVersion();

// The abbreviated commit that was checked out when the build was configured,
// "unknown" outside a git checkout.
absl::string_view BuildCommit();

// Both, for people: "0.1.0 (4be1c09)".
std::string BuildInfo();

}  // namespace attune

#endif  // ATTUNE_COMMON_BUILD_INFO_H_
