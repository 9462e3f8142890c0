// CLIP's tokenizer: the ids that transformers' CLIPTokenizer (5.23) gives over
// OpenAI's vocabulary. It differs from OpenAI's own program, which repairs
// text with ftfy and resolves HTML entities first, only on such texts.
// Characters younger than ICU's tables (Unicode 15.0 with ICU 72) count as
// symbols.

#ifndef ATTUNE_COMMON_TEXT_TOKENIZER_H_
#define ATTUNE_COMMON_TEXT_TOKENIZER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/text/vocabulary.h"

namespace attune::text {

// Immutable, thus thread-safe.
class Tokenizer {
 public:
  // CLIP's vocabulary: 49,408 tokens, 49406 the start, 49407 the end token.
  static const Tokenizer& Clip();

  explicit Tokenizer(Vocabulary vocabulary);

  int32_t vocabulary_size() const { return vocabulary_.size(); }
  int32_t start_token() const { return vocabulary_.start_token(); }
  int32_t end_token() const { return vocabulary_.end_token(); }
  const Vocabulary& vocabulary() const { return vocabulary_; }

  // The start token, the tokens of `text`, the end token; of any length.
  // "<|startoftext|>" and "<|endoftext|>" within `text`, written exactly so,
  // become those tokens, as in the reference. Bytes that are no UTF-8 count as
  // U+FFFD. Time is O(n log n) in the bytes of the longest word.
  std::vector<int32_t> Encode(absl::string_view text) const;

  // Encode(text), at most `context_length` tokens long. A longer text is cut
  // when `truncate`, its last token then the end token as in OpenAI's
  // tokenize(truncate=True); otherwise it is INVALID_ARGUMENT, reason
  // TEXT_TOO_LONG. REQUIRES: context_length >= 2.
  absl::StatusOr<std::vector<int32_t>> EncodeForContext(absl::string_view text,
                                                        int context_length,
                                                        bool truncate) const;

 private:
  void AppendSegment(absl::string_view segment,
                     std::vector<int32_t>* tokens) const;
  void AppendWord(absl::string_view word, std::vector<int32_t>* tokens) const;

  Vocabulary vocabulary_;
};

}  // namespace attune::text

#endif  // ATTUNE_COMMON_TEXT_TOKENIZER_H_
