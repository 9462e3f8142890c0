#ifndef ATTUNE_COMMON_TEXT_VOCABULARY_H_
#define ATTUNE_COMMON_TEXT_VOCABULARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace attune::text {

// The tokens of a byte-level byte-pair encoding as CLIP numbers them: 256
// single bytes (printable ones first), the same 256 as the last byte of a
// word, then one token for each merge in the order of the merges' ranks, then
// the start and the end token. So a merge's rank is the id that it makes.
// Immutable after construction, thus thread-safe.
class Vocabulary {
 public:
  static constexpr int32_t kNone = -1;

  // `merges` holds one "left right" a line, in which a byte is written as the
  // Unicode character that GPT-2 gives it and "</w>" ends a word's last part.
  explicit Vocabulary(absl::string_view merges);

  // CLIP's merges, inflated from the copy in the program.
  static Vocabulary Clip();

  // The merges that Clip() is made of, and all its tokens as such a list
  // writes them, by id: what other programs' vocabulary files hold.
  static std::string ClipMerges();
  static std::vector<std::string> ClipTokens();

  int32_t size() const { return static_cast<int32_t>(tokens_.size()) + 2; }
  int32_t start_token() const { return size() - 2; }
  int32_t end_token() const { return size() - 1; }

  int32_t ByteToken(unsigned char byte, bool ends_word) const {
    return byte_tokens_[byte] + (ends_word ? 256 : 0);
  }

  // The token of a whole word, or kNone when it needs several.
  int32_t WordToken(absl::string_view word) const {
    const auto found = words_.find(word);
    return found == words_.end() ? kNone : found->second;
  }

  // The token that `left` and `right` merge into, or kNone.
  int32_t Merged(int32_t left, int32_t right) const {
    const auto found = merges_.find(PairKey(left, right));
    return found == merges_.end() ? kNone : found->second;
  }

  // The bytes of a token other than the start and end token, without "</w>".
  // REQUIRES: 0 <= token < start_token().
  absl::string_view Bytes(int32_t token) const { return tokens_[token].bytes; }
  bool EndsWord(int32_t token) const { return tokens_[token].ends_word; }

 private:
  struct Token {
    std::string bytes;
    bool ends_word;
  };

  static uint64_t PairKey(int32_t left, int32_t right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  }

  std::vector<Token> tokens_;
  int32_t byte_tokens_[256];
  absl::flat_hash_map<uint64_t, int32_t> merges_;
  absl::flat_hash_map<std::string, int32_t> words_;
};

}  // namespace attune::text

#endif  // ATTUNE_COMMON_TEXT_VOCABULARY_H_
