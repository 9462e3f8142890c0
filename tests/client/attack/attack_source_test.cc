#include "client/attack/attack_source.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/attack/test_pictures.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr char kPrompt[] = "a photo of a {}.";

class AttackSources : public testing::Test {
 protected:
  absl::StatusOr<AttackSource> ReadRows(const std::string& rows) {
    WritePicture(folder_.path() / "1.png");
    WritePicture(folder_.path() / "deep" / "2.png");
    WriteFile(folder_.path() / "rows.jsonl", rows);
    return ReadAttackSource(folder_.File("rows.jsonl"), kPrompt);
  }

  test::TempDir folder_;
};

TEST_F(AttackSources, AFoldersNameIsTheClass) {
  WritePicture(folder_.path() / "polar_bear" / "b.png");
  WritePicture(folder_.path() / "polar_bear" / "a.PNG");
  WritePicture(folder_.path() / "dog" / "x.jpeg");
  WriteFile(folder_.path() / "dog" / "notes.txt", "not a picture");
  WriteFile(folder_.path() / "dog" / ".hidden.png", "not a picture");
  WriteFile(folder_.path() / "README", "not a class");
  const auto source = ReadAttackSource(folder_.path().string(), kPrompt);
  ASSERT_THAT(source, test::IsOk());
  EXPECT_THAT(source->class_names, ElementsAre("dog", "polar bear"));
  ASSERT_EQ(source->pictures.size(), 3u);
  EXPECT_EQ(source->pictures[0].id, "dog/x.jpeg");
  EXPECT_EQ(source->pictures[1].id, "polar_bear/a.PNG");
  EXPECT_EQ(source->pictures[1].class_name, "polar bear");
  EXPECT_EQ(source->pictures[1].path,
            (folder_.path() / "polar_bear" / "a.PNG").string());
  EXPECT_EQ(source->ignored_files, 1);
}

TEST_F(AttackSources, AFolderWithoutClassesIsRefused) {
  WritePicture(folder_.path() / "a.png");
  const auto source = ReadAttackSource(folder_.path().string(), kPrompt);
  EXPECT_THAT(source,
              test::HasError(absl::StatusCode::kNotFound, "NO_PICTURES"));
}

TEST_F(AttackSources, AMissingPathIsNotFound) {
  EXPECT_THAT(ReadAttackSource(folder_.File("nowhere"), kPrompt),
              test::HasError(absl::StatusCode::kNotFound, "FILE_NOT_FOUND"));
}

TEST_F(AttackSources, ALabelMadeFromThePromptGivesTheClass) {
  const auto source = ReadRows(
      R"({"image": "deep/2.png", "label": "a photo of a polar bear."}
{"image": "1.png", "label": "a photo of a dog.", "attributes": {"set": "x"}})");
  ASSERT_THAT(source, test::IsOk());
  EXPECT_THAT(source->class_names, ElementsAre("dog", "polar bear"));
  EXPECT_EQ(source->pictures[0].id, "1.png");
  EXPECT_THAT(source->pictures[0].attributes, ElementsAre(Pair("set", "x")));
  EXPECT_EQ(source->pictures[1].id, "deep/2.png");
}

TEST_F(AttackSources, LabelsWithoutThePromptAreTheClasses) {
  const auto source = ReadRows(R"({"image": "1.png", "label": "dog"}
{"image": "deep/2.png", "label": "polar bear"})");
  ASSERT_THAT(source, test::IsOk());
  EXPECT_THAT(source->class_names, ElementsAre("dog", "polar bear"));
}

TEST_F(AttackSources, LabelsOfBothKindsAreRefused) {
  const auto source = ReadRows(R"({"image": "1.png", "label": "dog"}
{"image": "deep/2.png", "label": "a photo of a polar bear."})");
  ASSERT_THAT(source, test::HasError(absl::StatusCode::kInvalidArgument,
                                     "INVALID_EXAMPLES_FILE"));
  EXPECT_EQ(ErrorFields(source.status())[0].field,
            folder_.File("rows.jsonl") + ":1");
}

TEST_F(AttackSources, RowsThatAreNotCleanAndLabelledAreNamed) {
  const auto source = ReadRows(R"({"image": "1.png", "label": "dog"}
{"image": "1.png", "label": "dog", "attack": "cat"}
{"image": "deep/2.png"})");
  ASSERT_THAT(source, test::HasError(absl::StatusCode::kInvalidArgument,
                                     "INVALID_EXAMPLES_FILE"));
  const auto fields = ErrorFields(source.status());
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_THAT(fields[0].field, HasSubstr(":2"));
  EXPECT_THAT(fields[0].description, HasSubstr("has an attack already"));
  EXPECT_THAT(fields[1].field, HasSubstr(":3"));
  EXPECT_THAT(fields[1].description, HasSubstr("not a labelled row"));
}

}  // namespace
}  // namespace attune::client
