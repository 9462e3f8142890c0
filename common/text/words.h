#ifndef ATTUNE_COMMON_TEXT_WORDS_H_
#define ATTUNE_COMMON_TEXT_WORDS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace attune::text {

// `text` in Unicode's composed form (NFC, by the tables of Unicode 9.0, which
// the reference has), each character then lower-cased by
// itself: a capital sigma becomes U+03C3 also at a word's end. Bytes that are
// no UTF-8 become U+FFFD. Thread-safe.
std::string NormalizeText(absl::string_view text);

// Splits normalised text as CLIP's tokenizer does:
//
//   <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|
//   [^\s\p{L}\p{N}]+
//
// and a match of the first two again into "<|", its letters and "|>", because
// only the unchanged spelling, which the tokenizer looks for before it
// normalises, stands for the token itself. White space is dropped.
// REQUIRES: `text` is UTF-8. The words point into it. Thread-safe.
std::vector<absl::string_view> SplitWords(absl::string_view text);

}  // namespace attune::text

#endif  // ATTUNE_COMMON_TEXT_WORDS_H_
