#include "server/services/page_token.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"

namespace attune::services {
namespace {

constexpr size_t kChecksumDigits = 16;

// Binds a position to its list. Not a secret: whoever computes it gets a page
// of a list that is open to him, but no accident and no guess passes.
std::string Checksum(absl::string_view list, absl::string_view position) {
  return Sha256Hex(absl::StrCat("attune page of ", list, "\n", position))
      .substr(0, kChecksumDigits);
}

absl::Status InvalidToken() {
  return InvalidFields(
      "INVALID_PAGE_TOKEN",
      {{"page_token",
        "is not a next_page_token of this list: leave it empty to begin with "
        "the first page"}});
}

}  // namespace

absl::StatusOr<int> PageSize(int32_t requested, int default_size,
                             int max_size) {
  if (requested < 0) {
    return InvalidField("page_size", "must not be negative; 0 is the default");
  }
  if (requested == 0) return default_size;
  return std::min<int>(requested, max_size);
}

std::string EncodePageToken(absl::string_view list,
                            absl::string_view position) {
  return absl::WebSafeBase64Escape(
      absl::StrCat(Checksum(list, position), position));
}

absl::StatusOr<std::string> DecodePageToken(absl::string_view list,
                                            absl::string_view token) {
  if (token.empty()) return std::string();
  std::string text;
  if (!absl::WebSafeBase64Unescape(token, &text) ||
      text.size() < kChecksumDigits) {
    return InvalidToken();
  }
  std::string position = text.substr(kChecksumDigits);
  if (EncodePageToken(list, position) != token) return InvalidToken();
  return position;
}

std::string EncodePageToken(absl::string_view list, int64_t position) {
  return EncodePageToken(list, absl::StrCat(position));
}

absl::StatusOr<int64_t> DecodeNumericPageToken(absl::string_view list,
                                               absl::string_view token) {
  absl::StatusOr<std::string> position = DecodePageToken(list, token);
  if (!position.ok()) return position.status();
  if (position->empty()) return 0;
  int64_t number = 0;
  if (!absl::SimpleAtoi(*position, &number)) return InvalidToken();
  return number;
}

}  // namespace attune::services
