#include "client/attack/attack_dataset.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "client/examples_file.h"
#include "common/image/decode.h"
#include "common/image/image_header.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/attack/test_pictures.h"
#include "tests/client/drawing/test_fonts.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::client {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class AttackDatasets : public testing::Test {
 protected:
  AttackDatasets() {
    options_.source = folder_.File("photos");
    options_.output = folder_.File("attacked");
    options_.fonts = {kSans, kSerifBold};
    for (const char* name : {"dog", "cat", "polar_bear"}) {
      for (const char* file : {"1.png", "2.png"}) {
        WritePicture(folder_.path() / "photos" / name / file);
      }
    }
  }

  absl::StatusOr<AttackSummary> Make() {
    return MakeAttackDataset(options_, [](int64_t, int64_t) {});
  }

  std::string Read(const std::string& name) {
    std::ifstream file(fs::path(options_.output) / name, std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }

  // The rows of attacks.jsonl.
  std::vector<nlohmann::json> Attacks() {
    std::istringstream lines(Read("attacks.jsonl"));
    std::vector<nlohmann::json> rows;
    for (std::string line; std::getline(lines, line);) {
      rows.push_back(nlohmann::json::parse(line));
    }
    return rows;
  }

  // Every file and its bytes, by its path in the output folder.
  std::map<std::string, std::string> Files() {
    std::map<std::string, std::string> files;
    for (const auto& entry :
         fs::recursive_directory_iterator(options_.output)) {
      if (!entry.is_regular_file()) continue;
      const std::string name =
          fs::relative(entry.path(), options_.output).string();
      files[name] = Read(name);
    }
    return files;
  }

  // That nothing but the source is left of a refused request.
  void ExpectNothingWritten() {
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      EXPECT_EQ(entry.path().filename(), "photos");
    }
  }

  test::TempDir folder_;
  AttackOptions options_;
};

TEST_F(AttackDatasets, PairsPreferThePicturesClassToTheWrittenWord) {
  const auto summary = Make();
  ASSERT_THAT(summary, test::IsOk());
  EXPECT_EQ(summary->picture_count, 6);
  EXPECT_EQ(summary->class_count, 3);
  EXPECT_EQ(summary->word_count, 3);
  EXPECT_EQ(summary->font_count, 2);

  // As the upload reads them.
  const auto file = ExamplesFile::Open(options_.output + "/examples.jsonl");
  ASSERT_THAT(file, test::IsOk());
  ASSERT_EQ(file->size(), 6);
  const std::vector<nlohmann::json> attacks = Attacks();
  for (int64_t i = 0; i < 6; ++i) {
    const auto example = file->Read(i);
    ASSERT_THAT(example, test::IsOk());
    const std::string class_name = attacks[i]["class"];
    const std::string word = attacks[i]["word"];
    EXPECT_EQ(example->pair().preferred(), "a photo of a " + class_name + ".");
    EXPECT_EQ(example->pair().rejected(), "a photo of a " + word + ".");
    const auto attacked = image::DecodeImage(example->image());
    const auto clean = image::DecodeImage(example->pair().clean_image());
    ASSERT_THAT(attacked, test::IsOk());
    ASSERT_THAT(clean, test::IsOk());
    EXPECT_EQ(attacked->width, 224);
    EXPECT_EQ(attacked->height, 224);
    EXPECT_EQ(image::InspectImage(example->image())->type,
              image::ImageType::kJpeg);

    // The twins differ in the box and, but for what JPEG's blocks of 16 pixels
    // carry over, nowhere else.
    const std::vector<int> box = attacks[i]["box"];
    int inside = 0;
    for (int y = 0; y < 224; ++y) {
      for (int x = 0; x < 224; ++x) {
        const bool same =
            std::equal(attacked->row(y) + 3 * x, attacked->row(y) + 3 * x + 3,
                       clean->row(y) + 3 * x);
        if (same) continue;
        ++inside;
        EXPECT_GE(x, box[0] - 16);
        EXPECT_GE(y, box[1] - 16);
        EXPECT_LT(x, box[0] + box[2] + 16);
        EXPECT_LT(y, box[1] + box[3] + 16);
      }
    }
    EXPECT_GT(inside, 100);
  }
  EXPECT_EQ(Read("candidates.txt"),
            "a photo of a cat.\na photo of a dog.\na photo of a polar bear.\n");
}

TEST_F(AttackDatasets, LabelledRowsAreCleanAndAttacked) {
  options_.labelled = true;
  options_.prompt = "{}";
  ASSERT_THAT(Make(), test::IsOk());
  const auto file = ExamplesFile::Open(options_.output + "/examples.jsonl");
  ASSERT_THAT(file, test::IsOk());
  ASSERT_EQ(file->size(), 12);
  const std::vector<nlohmann::json> attacks = Attacks();
  for (int64_t i = 0; i < 6; ++i) {
    const v1::Example::Labelled clean = file->example(2 * i).labelled();
    const v1::Example::Labelled attacked = file->example(2 * i + 1).labelled();
    EXPECT_EQ(clean.label(), attacks[i]["class"]);
    EXPECT_EQ(clean.attack(), "");
    EXPECT_EQ(attacked.label(), attacks[i]["class"]);
    EXPECT_EQ(attacked.attack(), attacks[i]["word"]);
  }
}

TEST_F(AttackDatasets, TheSameSeedGivesTheSameFilesAndAnotherDoesNot) {
  ASSERT_THAT(Make(), test::IsOk());
  const auto first = Files();
  options_.output = folder_.File("again");
  ASSERT_THAT(Make(), test::IsOk());
  EXPECT_EQ(first, Files());
  options_.output = folder_.File("other");
  options_.seed = 1;
  ASSERT_THAT(Make(), test::IsOk());
  EXPECT_NE(first, Files());
}

TEST_F(AttackDatasets, APicturesAttackDoesNotDependOnTheOtherPictures) {
  ASSERT_THAT(Make(), test::IsOk());
  std::map<std::string, std::string> before;
  for (const nlohmann::json& row : Attacks()) {
    before[row["source"]] = Read(row["image"]);
  }
  WritePicture(folder_.path() / "photos" / "cat" / "0.png");
  options_.output = folder_.File("more");
  ASSERT_THAT(Make(), test::IsOk());
  int seen = 0;
  for (const nlohmann::json& row : Attacks()) {
    const auto found = before.find(row["source"]);
    if (found == before.end()) continue;
    ++seen;
    EXPECT_EQ(found->second, Read(row["image"])) << row["source"];
  }
  EXPECT_EQ(seen, 6);
}

TEST_F(AttackDatasets, WordsOfAFileTakeThePlaceOfTheClasses) {
  WriteFile(folder_.path() / "photos" / "words.txt", "fox\nowl\nfox\n");
  options_.words = folder_.File("photos/words.txt");
  ASSERT_THAT(Make(), test::IsOk());
  std::set<std::string> words;
  for (const nlohmann::json& row : Attacks()) words.insert(row["word"]);
  EXPECT_THAT(words, testing::IsSubsetOf({"fox", "owl"}));
  // The candidates are the classes and the words.
  EXPECT_THAT(Read("candidates.txt"), HasSubstr("a photo of a fox.\n"));
  EXPECT_THAT(Read("candidates.txt"), HasSubstr("a photo of a dog.\n"));
}

TEST_F(AttackDatasets, APreviewShowsThePicturesAndIsAPng) {
  options_.preview = folder_.File("sheet.png");
  ASSERT_THAT(Make(), test::IsOk());
  std::ifstream file(options_.preview, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  const auto sheet = image::DecodeImage(bytes.str());
  ASSERT_THAT(sheet, test::IsOk());
  EXPECT_EQ(sheet->width, 6 * (224 + 12) + 12);
}

TEST_F(AttackDatasets, OneClassAloneIsRefused) {
  fs::remove_all(folder_.path() / "photos" / "cat");
  fs::remove_all(folder_.path() / "photos" / "polar_bear");
  const auto summary = Make();
  EXPECT_THAT(summary, test::HasError(absl::StatusCode::kInvalidArgument,
                                      "TOO_FEW_WORDS"));
  EXPECT_THAT(std::string(summary.status().message()), HasSubstr("--words"));
  ExpectNothingWritten();
}

TEST_F(AttackDatasets, EveryPictureThatCannotBeReadIsNamed) {
  const fs::path empty = folder_.path() / "photos" / "cat" / "3.png";
  const fs::path text = folder_.path() / "photos" / "dog" / "3.jpg";
  WriteFile(empty, "");
  WriteFile(text, "not a picture");
  options_.preview = folder_.File("sheet.png");
  const auto summary = Make();
  ASSERT_THAT(summary, test::HasError(absl::StatusCode::kInvalidArgument,
                                      "INVALID_PICTURES"));
  const auto fields = ErrorFields(summary.status());
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].field, empty.string());
  EXPECT_EQ(fields[1].field, text.string());
  ExpectNothingWritten();
}

TEST_F(AttackDatasets, AFontWithoutTheGlyphsWritesNothing) {
  WritePicture(folder_.path() / "photos" / "熊猫" / "1.png");
  EXPECT_THAT(Make(), test::HasError(absl::StatusCode::kInvalidArgument,
                                     "FONT_LACKS_GLYPHS"));
  ExpectNothingWritten();
}

TEST_F(AttackDatasets, AFolderThatIsThereIsNotTouched) {
  WriteFile(folder_.path() / "attacked" / "mine.txt", "kept");
  EXPECT_THAT(Make(), test::HasError(absl::StatusCode::kAlreadyExists,
                                     "OUTPUT_EXISTS"));
  EXPECT_EQ(Read("mine.txt"), "kept");
  EXPECT_EQ(Files().size(), 1u);
}

TEST_F(AttackDatasets, AnEmptyFolderIsTaken) {
  fs::create_directory(options_.output);
  options_.output += "/";
  EXPECT_THAT(Make(), test::IsOk());
  EXPECT_TRUE(fs::exists(folder_.path() / "attacked" / "examples.jsonl"));
}

TEST_F(AttackDatasets, APlaceThatCannotBeWrittenIsNamed) {
  options_.output = folder_.File("photos/dog/1.png/attacked");
  EXPECT_THAT(Make(), test::HasError(absl::StatusCode::kFailedPrecondition,
                                     "FILE_NOT_WRITTEN"));
}

TEST_F(AttackDatasets, APromptNeedsOnePlaceForTheClass) {
  for (const char* prompt : {"a photo", "{} {}"}) {
    options_.prompt = prompt;
    const auto summary = Make();
    ASSERT_THAT(summary, test::HasError(absl::StatusCode::kInvalidArgument,
                                        "INVALID_FIELD"));
    EXPECT_EQ(ErrorFields(summary.status())[0].field, "prompt");
  }
  ExpectNothingWritten();
}

}  // namespace
}  // namespace attune::client
