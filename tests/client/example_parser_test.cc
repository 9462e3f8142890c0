#include "client/example_parser.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::client {
namespace {

using ::testing::HasSubstr;

ParsedExample Parse(const std::string& line) {
  absl::StatusOr<ParsedExample> parsed = ParseExample(line);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? *parsed : ParsedExample();
}

// The message of the error, which must be INVALID_ARGUMENT.
std::string ErrorOf(const std::string& line) {
  const absl::Status status = ParseExample(line).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << line;
  return std::string(status.message());
}

TEST(ParseExample, PreferredAndRejectedMakeAPair) {
  const ParsedExample parsed = Parse(
      R"({"image": "a.jpg", "preferred": "a dog", "rejected": "a cat",
          "clean_image": "b.jpg", "attributes": {"source": "rta"}})");
  EXPECT_EQ(parsed.image, "a.jpg");
  EXPECT_EQ(parsed.clean_image, "b.jpg");
  EXPECT_EQ(parsed.example.pair().preferred(), "a dog");
  EXPECT_EQ(parsed.example.pair().rejected(), "a cat");
  EXPECT_EQ(parsed.example.attributes().at("source"), "rta");
}

TEST(ParseExample, AnImageAloneIsClean) {
  EXPECT_TRUE(Parse(R"({"image": "a.jpg"})").example.has_clean());
}

TEST(ParseExample, ALabelMakesALabelledExampleWithOptionalAttack) {
  const ParsedExample parsed =
      Parse(R"({"image": "a.jpg", "label": "a dog", "attack": "a cat"})");
  EXPECT_EQ(parsed.example.labelled().label(), "a dog");
  EXPECT_EQ(parsed.example.labelled().attack(), "a cat");
  EXPECT_EQ(Parse(R"({"image": "a.jpg", "label": "a dog"})")
                .example.labelled()
                .attack(),
            "");
}

TEST(ParseExample, ACaptionKeepsBothAttributeMaps) {
  const ParsedExample parsed = Parse(
      R"({"image": "a.jpg", "caption": "a red ball",
          "attributes": {"color": "red", "class": "ball"},
          "caption_attributes": {"color": "red"}})");
  EXPECT_EQ(parsed.example.caption().caption(), "a red ball");
  EXPECT_EQ(parsed.example.caption().caption_attributes().at("color"), "red");
  EXPECT_EQ(parsed.example.attributes().size(), 2u);
}

TEST(ParseExample, LinesThatAreNoObjectAreRefused) {
  for (const char* line : {"[1]", "{", "3", "\"a\"", "{\"image\": \"a\"} x"}) {
    EXPECT_EQ(ErrorOf(line), "is not a JSON object");
  }
}

TEST(ParseExample, UnknownKeysAreNamed) {
  EXPECT_EQ(ErrorOf(R"({"image": "a.jpg", "prefered": "x"})"),
            "unknown key \"prefered\"");
}

TEST(ParseExample, AKeyThatOccursTwiceIsNamed) {
  EXPECT_EQ(ErrorOf(R"({"image": "a.jpg", "image": "b.jpg"})"),
            "the key \"image\" occurs twice");
  EXPECT_TRUE(Parse(R"({"image": "a.jpg", "attributes": {"image": "x"}})")
                  .example.has_clean());
}

TEST(ParseExample, KeysOfTwoKindsAreRefused) {
  EXPECT_THAT(ErrorOf(R"({"image": "a", "preferred": "x", "rejected": "y",
                  "label": "z"})"),
              HasSubstr("one example has one kind"));
  EXPECT_THAT(ErrorOf(R"({"image": "a", "caption": "x", "attack": "y"})"),
              HasSubstr("one example has one kind"));
}

TEST(ParseExample, AMissingKeyIsNamed) {
  EXPECT_THAT(ErrorOf(R"({"image": "a", "preferred": "x"})"),
              HasSubstr("\"rejected\" is missing"));
  EXPECT_THAT(ErrorOf(R"({"image": "a", "attack": "x"})"),
              HasSubstr("\"label\" is missing"));
  EXPECT_EQ(ErrorOf(R"({"label": "x"})"), "\"image\" is missing");
}

TEST(ParseExample, ValuesOfAnotherTypeAreRefused) {
  EXPECT_EQ(ErrorOf(R"({"image": 3})"), "\"image\" must be a string");
  EXPECT_EQ(ErrorOf(R"({"image": "a", "label": null})"),
            "\"label\" must be a string");
  EXPECT_EQ(ErrorOf(R"({"image": "a", "attributes": []})"),
            "\"attributes\" must be an object of strings");
  EXPECT_EQ(ErrorOf(R"({"image": "a", "attributes": {"n": 3}})"),
            R"("attributes": "n" must be a string, as in "n": "3")");
}

TEST(ParseExample, BadTextsAreRefused) {
  EXPECT_THAT(ErrorOf(R"({"image": "a", "label": " "})"),
              HasSubstr("empty or blank"));
  EXPECT_THAT(ErrorOf(R"({"image": "a", "caption": "a\u0000b"})"),
              HasSubstr("caption"));
  EXPECT_THAT(ErrorOf(absl::StrCat(R"({"image": "a", "label": ")",
                                   std::string(9000, 'x'), "\"}")),
              HasSubstr("8192"));
}

TEST(ParseExample, EqualSidesOfAPairAreRefused) {
  EXPECT_EQ(ErrorOf(R"({"image": "a", "preferred": "x", "rejected": "x"})"),
            "\"preferred\" and \"rejected\" are the same text");
}

TEST(ParseExample, InvalidUtf8IsRefused) {
  EXPECT_EQ(ErrorOf("{\"image\": \"a\", \"label\": \"\xff\"}"),
            "is not a JSON object");
}

}  // namespace
}  // namespace attune::client
