#include "client/tokenizer_files.h"

#include <algorithm>
#include <map>

#include "common/text/tokenizer.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace attune::client {
namespace {

TEST(TokenizerFilesTest, HoldTheVocabularyOfTheTokenizer) {
  std::map<std::string, std::string> files;
  for (const auto& [name, text] : TokenizerFiles(77)) files[name] = text;
  ASSERT_EQ(files.size(), 3u);
  const nlohmann::json vocabulary = nlohmann::json::parse(files["vocab.json"]);
  EXPECT_EQ(vocabulary.size(), 49408u);
  // As OpenAI's own vocabulary has them.
  EXPECT_EQ(vocabulary["!"], 0);
  EXPECT_EQ(vocabulary["\u0120"], 220);
  EXPECT_EQ(vocabulary["!</w>"], 256);
  EXPECT_EQ(vocabulary["<|startoftext|>"], 49406);
  EXPECT_EQ(vocabulary["<|endoftext|>"], 49407);
  for (const std::string word : {"a", "photo", "of", "dog"}) {
    EXPECT_EQ(vocabulary[word + "</w>"],
              text::Tokenizer::Clip().Encode(word)[1])
        << word;
  }
  // A version, then one line for each token that is made of two.
  const std::string& merges = files["merges.txt"];
  EXPECT_EQ(std::count(merges.begin(), merges.end(), '\n'), 1 + 48894);
  EXPECT_EQ(
      nlohmann::json::parse(files["tokenizer_config.json"])["model_max_length"],
      77);
}

}  // namespace
}  // namespace attune::client
