// A forged token is INVALID_ARGUMENT; a good one comes back as it went.

#include "server/services/page_token.h"
#include "tests/fuzz/fuzz.h"

using ::attune::fuzz::Require;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace services = attune::services;
  const absl::string_view text = attune::fuzz::View(data, size);
  constexpr absl::string_view kList = "ListExamples/rta";
  const auto position = services::DecodePageToken(kList, text);
  attune::fuzz::RequireInputError(position.status());
  attune::fuzz::RequireInputError(
      services::DecodeNumericPageToken(kList, text).status());
  if (position.ok() && !text.empty()) {
    Require(services::EncodePageToken(kList, *position) == text,
            "a position has one token");
  }
  const auto again =
      services::DecodePageToken(kList, services::EncodePageToken(kList, text));
  Require(again.ok() && *again == text, "a token gives its position back");
  return 0;
}
