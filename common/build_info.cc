#include "common/build_info.h"

#include "absl/strings/str_cat.h"

namespace attune {

absl::string_view BuildVersion() { return ATTUNE_BUILD_VERSION; }

absl::string_view BuildCommit() { return ATTUNE_BUILD_COMMIT; }

std::string BuildInfo() {
  return absl::StrCat(BuildVersion(), " (", BuildCommit(), ")");
}

}  // namespace attune
