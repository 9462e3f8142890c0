// Pages of the List calls, and the keys of idempotent requests.

#ifndef ATTUNE_SERVER_SERVICES_PAGE_TOKEN_H_
#define ATTUNE_SERVER_SERVICES_PAGE_TOKEN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace attune::services {

// How many items a page holds: `requested`, `default_size` for 0, at most
// `max_size`. INVALID_ARGUMENT naming page_size when it is negative.
absl::StatusOr<int> PageSize(int32_t requested, int default_size, int max_size);

// An opaque token for the page after `position` in the list that `list` names:
// the call and whatever chooses its items, such as "ListExamples/rta".
std::string EncodePageToken(absl::string_view list, absl::string_view position);

// The position of a token that EncodePageToken made for this list, "" for "".
// INVALID_ARGUMENT, reason INVALID_PAGE_TOKEN, for any other text.
absl::StatusOr<std::string> DecodePageToken(absl::string_view list,
                                            absl::string_view token);

// The same for lists whose positions are numbers; 0 for "".
std::string EncodePageToken(absl::string_view list, int64_t position);
absl::StatusOr<int64_t> DecodeNumericPageToken(absl::string_view list,
                                               absl::string_view token);

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_PAGE_TOKEN_H_
