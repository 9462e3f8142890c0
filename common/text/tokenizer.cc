#include "common/text/tokenizer.h"

#include <queue>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/text/words.h"

namespace attune::text {
namespace {

constexpr absl::string_view kStartText = "<|startoftext|>";
constexpr absl::string_view kEndText = "<|endoftext|>";

// A part of a word while its parts are merged; a list in the word's order.
struct Part {
  int32_t token;
  int previous;
  int next;
};

// The pair at `left` and its successor merges into `merged`. Lower ids were
// learned earlier and go first, and equal ones from left to right.
struct Candidate {
  int32_t merged;
  int left;

  bool operator>(const Candidate& other) const {
    return std::pair(merged, left) > std::pair(other.merged, other.left);
  }
};

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)) {}

const Tokenizer& Tokenizer::Clip() {
  static const Tokenizer& tokenizer = *new Tokenizer(Vocabulary::Clip());
  return tokenizer;
}

std::vector<int32_t> Tokenizer::Encode(absl::string_view text) const {
  std::vector<int32_t> tokens = {start_token()};
  // Special tokens are looked for in the raw text; what lies between them is
  // normalised piece by piece.
  while (!text.empty()) {
    size_t special = text.find("<|");
    while (special != absl::string_view::npos &&
           text.substr(special, kStartText.size()) != kStartText &&
           text.substr(special, kEndText.size()) != kEndText) {
      special = text.find("<|", special + 1);
    }
    AppendSegment(text.substr(0, special), &tokens);
    if (special == absl::string_view::npos) break;
    const bool is_start = text.substr(special, kStartText.size()) == kStartText;
    tokens.push_back(is_start ? start_token() : end_token());
    text.remove_prefix(special +
                       (is_start ? kStartText.size() : kEndText.size()));
  }
  tokens.push_back(end_token());
  return tokens;
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::EncodeForContext(
    absl::string_view text, int context_length, bool truncate) const {
  std::vector<int32_t> tokens = Encode(text);
  if (static_cast<int>(tokens.size()) <= context_length) return tokens;
  if (!truncate) {
    return Error(absl::StatusCode::kInvalidArgument, "TEXT_TOO_LONG",
                 absl::StrCat("the text has ", tokens.size(),
                              " tokens and the model "
                              "takes ",
                              context_length,
                              ", start and end included: "
                              "shorten it or ask to truncate"));
  }
  tokens.resize(context_length);
  tokens.back() = end_token();
  return tokens;
}

void Tokenizer::AppendSegment(absl::string_view segment,
                              std::vector<int32_t>* tokens) const {
  const std::string normalized = NormalizeText(segment);
  for (absl::string_view word : SplitWords(normalized)) {
    AppendWord(word, tokens);
  }
}

void Tokenizer::AppendWord(absl::string_view word,
                           std::vector<int32_t>* tokens) const {
  // Every token that ends a word is also what merging its bytes leads to (a
  // test tries them all), so that common words need no merging.
  if (const int32_t token = vocabulary_.WordToken(word);
      token != Vocabulary::kNone) {
    tokens->push_back(token);
    return;
  }
  const int size = static_cast<int>(word.size());
  std::vector<Part> parts(size);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto add_candidate = [&](int left) {
    const int32_t merged =
        vocabulary_.Merged(parts[left].token, parts[parts[left].next].token);
    if (merged != Vocabulary::kNone) queue.push({merged, left});
  };
  for (int i = 0; i < size; ++i) {
    parts[i] = {vocabulary_.ByteToken(word[i], i == size - 1), i - 1, i + 1};
  }
  for (int i = 0; i + 1 < size; ++i) add_candidate(i);

  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Part& left = parts[best.left];
    // A pair whose parts have changed since is stale.
    if (left.token == Vocabulary::kNone || left.next == size ||
        vocabulary_.Merged(left.token, parts[left.next].token) != best.merged) {
      continue;
    }
    Part& right = parts[left.next];
    left.token = best.merged;
    right.token = Vocabulary::kNone;
    left.next = right.next;
    if (left.next < size) {
      parts[left.next].previous = best.left;
      add_candidate(best.left);
    }
    if (left.previous >= 0) add_candidate(left.previous);
  }
  for (int i = 0; i < size; i = parts[i].next) {
    tokens->push_back(parts[i].token);
  }
}

}  // namespace attune::text
