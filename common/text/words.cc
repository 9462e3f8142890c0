#include "common/text/words.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cassert>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace attune::text {
namespace {

enum class Kind { kSpace, kLetter, kNumber, kOther };

Kind KindOf(UChar32 character) {
  if (character < 0x80) {
    const unsigned char byte = static_cast<unsigned char>(character);
    if (absl::ascii_isalpha(byte)) return Kind::kLetter;
    if (absl::ascii_isdigit(byte)) return Kind::kNumber;
    return absl::ascii_isspace(byte) ? Kind::kSpace : Kind::kOther;
  }
  const uint32_t category = U_GET_GC_MASK(character);
  if (category & U_GC_L_MASK) return Kind::kLetter;
  if (category & U_GC_N_MASK) return Kind::kNumber;
  return u_isUWhiteSpace(character) ? Kind::kSpace : Kind::kOther;
}

void AppendUtf8(UChar32 character, std::string* out) {
  char bytes[U8_MAX_LENGTH];
  int32_t length = 0;
  U8_APPEND_UNSAFE(bytes, length, character);
  out->append(bytes, length);
}

// The length of the special token or contraction at the start of `text`.
size_t FixedMatch(absl::string_view text) {
  for (absl::string_view word : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d",
                                 "<|startoftext|>", "<|endoftext|>"}) {
    if (absl::StartsWith(text, word)) return word.size();
  }
  return 0;
}

// NFC with the tables of Unicode 9.0, which are those of the reference:
// marks of later versions neither compose nor change places.
const icu::Normalizer2& Composer() {
  static const icu::Normalizer2& composer = *[] {
    UErrorCode error = U_ZERO_ERROR;
    auto* known = new icu::UnicodeSet("[:age=9.0:]", error);
    known->freeze();
    auto* filtered = new icu::FilteredNormalizer2(
        *icu::Normalizer2::getNFCInstance(error), *known);
    // The pattern is constant, and the data are part of ICU's library.
    assert(U_SUCCESS(error));
    return filtered;
  }();
  return composer;
}

}  // namespace

std::string NormalizeText(absl::string_view text) {
  if (std::all_of(text.begin(), text.end(), absl::ascii_isascii)) {
    return absl::AsciiStrToLower(text);
  }
  UErrorCode error = U_ZERO_ERROR;
  std::string composed;
  icu::StringByteSink<std::string> sink(&composed,
                                        static_cast<int32_t>(text.size()));
  Composer().normalizeUTF8(
      0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink,
      nullptr, error);
  // A sink to memory cannot fail.
  assert(U_SUCCESS(error));

  std::string lower;
  lower.reserve(composed.size() + 8);
  const int32_t length = static_cast<int32_t>(composed.size());
  for (int32_t i = 0; i < length;) {
    UChar32 character;
    U8_NEXT_OR_FFFD(composed.data(), i, length, character);
    AppendUtf8(u_tolower(character), &lower);
    // The one character whose lower case, whatever its neighbours, is two.
    if (character == 0x130) AppendUtf8(0x307, &lower);
  }
  return lower;
}

std::vector<absl::string_view> SplitWords(absl::string_view text) {
  std::vector<absl::string_view> words;
  const int32_t length = static_cast<int32_t>(text.size());
  int32_t begin = 0;
  while (begin < length) {
    if (text[begin] == '\'' || text[begin] == '<') {
      const size_t fixed = FixedMatch(text.substr(begin));
      if (fixed > 0) {
        const absl::string_view word = text.substr(begin, fixed);
        if (word[0] == '<') {
          words.push_back(word.substr(0, 2));
          words.push_back(word.substr(2, fixed - 4));
          words.push_back(word.substr(fixed - 2));
        } else {
          words.push_back(word);
        }
        begin += static_cast<int32_t>(fixed);
        continue;
      }
    }
    int32_t end = begin;
    UChar32 character;
    U8_NEXT_OR_FFFD(text.data(), end, length, character);
    const Kind kind = KindOf(character);
    if (kind == Kind::kSpace) {
      begin = end;
      continue;
    }
    while (kind != Kind::kNumber && end < length) {
      int32_t next = end;
      U8_NEXT_OR_FFFD(text.data(), next, length, character);
      if (KindOf(character) != kind) break;
      end = next;
    }
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

}  // namespace attune::text
