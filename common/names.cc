#include "common/names.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace attune {
namespace {

constexpr size_t kMaxNameBytes = 63;
constexpr size_t kMaxTextBytes = 8 * 1024;

bool IsNameCharacter(char c) {
  return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' ||
         c == '_' || c == '.';
}

absl::Status Invalid(absl::string_view reason, absl::string_view field,
                     absl::string_view description) {
  return InvalidFields(reason,
                       {{std::string(field), std::string(description)}});
}

}  // namespace

absl::Status ValidateName(absl::string_view field, absl::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes ||
      !std::all_of(name.begin(), name.end(), IsNameCharacter) ||
      !absl::ascii_isalnum(name.front())) {
    return Invalid("INVALID_NAME", field,
                   "a name has 1 to 63 lower-case letters, digits, '-', '_' "
                   "and '.', and begins with a letter or digit");
  }
  return absl::OkStatus();
}

absl::Status ValidateText(absl::string_view field, absl::string_view text) {
  if (text.size() > kMaxTextBytes) {
    return Invalid("INVALID_TEXT", field,
                   absl::StrCat("the text has ", text.size(),
                                " bytes; at most 8192 are allowed"));
  }
  if (absl::StripAsciiWhitespace(text).empty()) {
    return Invalid("INVALID_TEXT", field, "the text is empty or blank");
  }
  const int32_t size = static_cast<int32_t>(text.size());
  for (int32_t i = 0; i < size;) {
    const int32_t start = i;
    UChar32 code_point;
    U8_NEXT(text.data(), i, size, code_point);
    if (code_point < 0) {
      return Invalid("INVALID_TEXT", field,
                     absl::StrCat("the text is not UTF-8 at byte ", start));
    }
    if (u_charType(code_point) == U_CONTROL_CHAR) {
      return Invalid(
          "INVALID_TEXT", field,
          absl::StrCat("the text has a control character at byte ", start));
    }
  }
  return absl::OkStatus();
}

}  // namespace attune
