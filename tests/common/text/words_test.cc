#include "common/text/words.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::text {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(NormalizeText, AccentsComposeAndLettersGoLower) {
  EXPECT_EQ(NormalizeText("CAFE\u0301"), "caf\u00e9");
}

TEST(NormalizeText, CapitalSigmaLowersTheSameAtAWordsEnd) {
  EXPECT_EQ(NormalizeText("ΟΣ Σ"), "οσ σ");
}

TEST(NormalizeText, DottedCapitalIKeepsItsDot) {
  EXPECT_EQ(NormalizeText("\u0130"), "i\u0307");
}

TEST(NormalizeText, BytesThatAreNoUtf8BecomeReplacementCharacters) {
  EXPECT_EQ(NormalizeText("a\xff"), "a\ufffd");
  EXPECT_EQ(NormalizeText("\xe2\x82"), "\ufffd");
}

TEST(SplitWords, LettersNumbersAndTheRestSeparate) {
  EXPECT_THAT(SplitWords("abc12 ?!x"), ElementsAre("abc", "1", "2", "?!", "x"));
}

TEST(SplitWords, ContractionsSplitOffOnlyAtTheStartOfAMatch) {
  EXPECT_THAT(SplitWords("we'll 'sun !'s"),
              ElementsAre("we", "'ll", "'s", "un", "!'", "s"));
}

TEST(SplitWords, UnicodeSpacesAreDropped) {
  EXPECT_THAT(SplitWords("\u00a0a\u3000b\u2028\u0085 "), ElementsAre("a", "b"));
  EXPECT_THAT(SplitWords(""), IsEmpty());
}

TEST(SplitWords, SpelledOutSpecialTokensEndTheirBrackets) {
  EXPECT_THAT(SplitWords("<|endoftext|>!"),
              ElementsAre("<|", "endoftext", "|>", "!"));
  EXPECT_THAT(SplitWords("<|endoftex|>!"),
              ElementsAre("<|", "endoftex", "|>!"));
}

}  // namespace
}  // namespace attune::text
