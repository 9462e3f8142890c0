#ifndef ATTUNE_COMMON_NAMES_H_
#define ATTUNE_COMMON_NAMES_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace attune {

// Names of datasets, models and aliases: 1 to 63 characters, lower-case
// letters, digits, '-', '_' and '.', the first a letter or digit. Names are
// never paths. `field` is the request field that the error names.
// Returns INVALID_ARGUMENT, reason INVALID_NAME, otherwise.
absl::Status ValidateName(absl::string_view field, absl::string_view name);

// Texts of examples, candidates and labels: valid UTF-8, 1 byte to 8 KiB, not
// blank, without NUL and other control characters.
// Returns INVALID_ARGUMENT, reason INVALID_TEXT, otherwise.
absl::Status ValidateText(absl::string_view field, absl::string_view text);

}  // namespace attune

#endif  // ATTUNE_COMMON_NAMES_H_
