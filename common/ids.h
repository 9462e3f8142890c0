#ifndef ATTUNE_COMMON_IDS_H_
#define ATTUNE_COMMON_IDS_H_

#include <string>

#include "absl/strings/string_view.h"

namespace attune {

// `bytes` random bytes from the operating system, in hexadecimal.
std::string RandomHex(int bytes);

// A random (version 4) UUID, such as a request_id.
std::string NewUuid();

// Whether `text` has the form of a UUID: 8-4-4-4-12 hexadecimal digits.
bool IsUuid(absl::string_view text);

// A new identifier for people to type: `prefix`, a dash and 12 hexadecimal
// digits, such as "job-4be1c09a77d2".
std::string NewId(absl::string_view prefix);

}  // namespace attune

#endif  // ATTUNE_COMMON_IDS_H_
