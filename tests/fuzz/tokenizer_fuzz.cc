// Any bytes have tokens of the vocabulary between the start and the end token,
// and fit a context when they may be cut.

#include "common/text/tokenizer.h"
#include "tests/fuzz/fuzz.h"

using ::attune::fuzz::Require;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto& tokenizer = attune::text::Tokenizer::Clip();
  const absl::string_view text = attune::fuzz::View(data, size);
  const std::vector<int32_t> tokens = tokenizer.Encode(text);
  Require(tokens.size() >= 2, "there are a start and an end token");
  Require(tokens.front() == tokenizer.start_token(), "the start comes first");
  Require(tokens.back() == tokenizer.end_token(), "the end comes last");
  for (const int32_t token : tokens) {
    Require(token >= 0 && token < tokenizer.vocabulary_size(),
            "tokens are of the vocabulary");
  }
  const auto cut = tokenizer.EncodeForContext(text, 77, /*truncate=*/true);
  Require(cut.ok() && cut->size() <= 77, "a text that may be cut fits");
  attune::fuzz::RequireInputError(
      tokenizer.EncodeForContext(text, 77, /*truncate=*/false).status());
  return 0;
}
