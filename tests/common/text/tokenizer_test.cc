#include "common/text/tokenizer.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/test_util/shared_data.h"

namespace attune::text {
namespace {

using ::testing::ElementsAre;

struct Vector {
  std::string text;
  std::vector<int32_t> tokens;
};

// What transformers 5.23's CLIPTokenizer answers; made by
// tests/golden/generate_tokens.py.
const Vector kVectors[] = {
    {"", {49406, 49407}},
    {"a photo of a dog", {49406, 320, 1125, 539, 320, 1929, 49407}},
    {"A Photo, of 2 DOGS!",
     {49406, 320, 1125, 267, 539, 273, 3255, 256, 49407}},
    {"it's we'll I'M 'sun !'s",
     {49406, 585, 568, 649, 1342, 328, 880, 568, 2271, 13222, 338, 49407}},
    {"<|startoftext|>a<|endoftext|>", {49406, 49406, 320, 49407, 49407}},
    {"<|STARTOFTEXT|>! a<|EndOfText|>b",
     {49406, 27, 347, 993, 6659, 4160, 91, 285, 256, 320, 27, 347, 40786, 4160,
      91, 285, 321, 49407}},
    {"!<|startoftext|", {49406, 0, 27, 347, 993, 6659, 4160, 347, 49407}},
    {"<|<|endoftext|>", {49406, 27, 347, 49407, 49407}},
    {"caf\303\251 cafe\314\201", {49406, 15304, 15304, 49407}},
    {"\341\204\200\341\205\241\341\206\250", {49406, 21122, 479, 49407}},
    {"\304\260 \316\243\316\237\316\243 \307\205 \341\272\236",
     {49406, 328, 16384, 139, 225, 138, 123, 139, 481, 131, 484, 127, 509,
      49407}},
    {"'\305\277 '\342\204\252", {49406, 262, 129, 379, 262, 330, 49407}},
    {"\302\240a\343\200\200b\342\200\250c\302\205d\342\200\213e",
     {49406, 320, 321, 322, 323, 9844, 324, 49407}},
    {std::string("a\034b\000c\177", 6),
     {49406, 320, 472, 321, 444, 322, 477, 49407}},
    {"\331\243\302\275\342\205\247\343\200\207",
     {49406, 149, 352, 33613, 158, 227, 371, 4092, 485, 49407}},
    {"x\314\201\314\202 \340\270\263\340\270\263",
     {49406, 343, 136, 223, 136, 480, 1777, 111, 1777, 367, 49407}},
    {"\360\237\221\250\342\200\215\360\237\221\251",
     {49406, 25023, 964, 358, 49407}},
    {"\344\270\200\344\272\214", {49406, 19759, 222, 21078, 490, 49407}},
    {"antidisestablishmentarianism "
     "pneumonoultramicroscopicsilicovolcanoconiosis",
     {49406, 3120,  4262, 7726,  12658, 1585, 44351, 28714,
      749,   20253, 9800, 535,   532,   1065, 901,   1556,
      13697, 9916,  78,   39031, 13903, 49407}},
    {"#hashtag @user https://x.y/z?q=%20",
     {49406, 258, 9238, 287, 7031, 30901, 12441, 343, 269, 344, 270, 345, 286,
      336, 28, 260, 273, 271, 49407}},
    {"\357\277\275\357\277\277", {49406, 47356, 27850, 379, 49407}},
    {"\360\220\220\200\360\236\244\200",
     {49406, 172, 238, 238, 101, 172, 252, 97, 351, 49407}},
    {"zzzzzzzzzqqqqqqqqq",
     {49406, 35742, 35742, 89, 31960, 31960, 31960, 31960, 336, 49407}},
    {"&lt;b&gt; \303\242\342\202\254\342\204\242",
     {49406, 261, 3333, 282, 321, 261, 4725, 282, 127, 351, 34919, 11675,
      49407}},
};

// Compares line by line with {"text": …, "ids": […]}.
void ExpectTokensOf(const std::string& path) {
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  int lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    const auto vector = nlohmann::json::parse(line);
    ASSERT_EQ(Tokenizer::Clip().Encode(vector["text"].get<std::string>()),
              vector["ids"].get<std::vector<int32_t>>())
        << line;
  }
  EXPECT_GT(lines, 0);
}

TEST(Tokenizer, ReferenceVectorsGiveTheSameTokens) {
  for (const Vector& vector : kVectors) {
    EXPECT_EQ(Tokenizer::Clip().Encode(vector.text), vector.tokens)
        << vector.text;
  }
}

TEST(Tokenizer, SharedGoldenVectorsGiveTheSameTokens) {
  ATTUNE_SKIP_WITHOUT_SHARED_DATA();
  ExpectTokensOf(test::SharedDataDir() + "/golden/tokens.jsonl");
}

TEST(Tokenizer, RandomUnicodeStringsGiveTheSameTokens) {
  const char* path = std::getenv("ATTUNE_TOKEN_VECTORS");
  if (path == nullptr) {
    GTEST_SKIP() << "set ATTUNE_TOKEN_VECTORS to a file that "
                    "tests/golden/generate_tokens.py wrote";
  }
  ExpectTokensOf(path);
}

TEST(Tokenizer, SizeAndSpecialTokensAreClips) {
  EXPECT_EQ(Tokenizer::Clip().vocabulary_size(), 49408);
  EXPECT_EQ(Tokenizer::Clip().start_token(), 49406);
  EXPECT_EQ(Tokenizer::Clip().end_token(), 49407);
}

// Encode takes a word that is a token as that token; merging its bytes in
// rank order, done here the plain way, must lead there too.
TEST(Tokenizer, EveryWordTokenIsWhatMergingItsBytesGives) {
  const Vocabulary& vocabulary = Tokenizer::Clip().vocabulary();
  for (int32_t token = 0; token < vocabulary.start_token(); ++token) {
    if (!vocabulary.EndsWord(token)) continue;
    const absl::string_view word = vocabulary.Bytes(token);
    std::vector<int32_t> parts;
    for (size_t i = 0; i < word.size(); ++i) {
      parts.push_back(vocabulary.ByteToken(word[i], i + 1 == word.size()));
    }
    for (;;) {
      int32_t best = Vocabulary::kNone;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const int32_t merged = vocabulary.Merged(parts[i], parts[i + 1]);
        if (merged == Vocabulary::kNone) continue;
        if (best == Vocabulary::kNone || merged < best) best = merged;
      }
      if (best == Vocabulary::kNone) break;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        if (vocabulary.Merged(parts[i], parts[i + 1]) != best) continue;
        parts[i] = best;
        parts.erase(parts.begin() + i + 1);
      }
    }
    ASSERT_THAT(parts, ElementsAre(token)) << word;
  }
}

TEST(Tokenizer, TextThatFitsTheContextIsWhole) {
  const auto tokens =
      Tokenizer::Clip().EncodeForContext("a photo of a dog", 7, false);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_THAT(*tokens, ElementsAre(49406, 320, 1125, 539, 320, 1929, 49407));
}

TEST(Tokenizer, TextPastTheContextReturnsTextTooLongWithBothCounts) {
  const auto tokens =
      Tokenizer::Clip().EncodeForContext("a photo of a dog", 6, false);
  EXPECT_EQ(tokens.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(tokens.status()), "TEXT_TOO_LONG");
  EXPECT_THAT(std::string(tokens.status().message()),
              testing::AllOf(testing::HasSubstr("7 tokens"),
                             testing::HasSubstr("takes 6")));
}

TEST(Tokenizer, TruncatedTextKeepsTheEndTokenLast) {
  const auto tokens =
      Tokenizer::Clip().EncodeForContext("a photo of a dog", 4, true);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_THAT(*tokens, ElementsAre(49406, 320, 1125, 49407));
}

TEST(Tokenizer, LongestTextThatIsAcceptedEncodes) {
  const std::string text(8192, 'q');
  const auto tokens = Tokenizer::Clip().Encode(text);
  size_t bytes = 0;
  for (size_t i = 1; i + 1 < tokens.size(); ++i) {
    bytes += Tokenizer::Clip().vocabulary().Bytes(tokens[i]).size();
  }
  EXPECT_EQ(bytes, text.size());
}

}  // namespace
}  // namespace attune::text
