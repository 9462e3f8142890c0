#include <filesystem>
#include <nlohmann/json.hpp>

#include "client/attack/attack_command.h"
#include "gmock/gmock.h"
#include "tests/client/attack/test_pictures.h"
#include "tests/client/cli_fixture.h"
#include "tests/client/drawing/test_fonts.h"

namespace attune::client {
namespace {

using testing::HasSubstr;

class AttackCli : public CliTest {
 protected:
  AttackCli() {
    commands_.push_back(AddAttackCommand);
    for (const char* name : {"dog", "cat"}) {
      WritePicture(folder_.path() / "photos" / name / "1.png");
    }
  }
};

TEST_F(AttackCli, AttackedPairsAreUploadedAsTheyAre) {
  ASSERT_EQ(RunAsIs({"dataset", "attack", folder_.File("photos"),
                     folder_.File("attacked"), "--font", kSans, "--preview",
                     folder_.File("sheet.png")}),
            kExitDone)
      << err_.str();
  EXPECT_EQ(out_.str(),
            "attacked 2 pictures of 2 classes with 2 words in 1 font: " +
                folder_.File("attacked") +
                "/examples.jsonl\nsome of them are "
                "in " +
                folder_.File("sheet.png") + "\n");
  EXPECT_TRUE(std::filesystem::exists(folder_.File("sheet.png")));

  ASSERT_EQ(Run({"dataset", "create", "typo", "--candidates",
                 folder_.File("attacked/candidates.txt")}),
            kExitDone)
      << err_.str();
  ASSERT_EQ(Run({"dataset", "upload", "typo",
                 folder_.File("attacked/examples.jsonl")}),
            kExitDone)
      << err_.str();
  absl::MutexLock lock(&fake_.mutex);
  ASSERT_EQ(fake_.examples.size(), 2u);
  EXPECT_EQ(fake_.examples[0].pair().preferred(), "a photo of a cat.");
  EXPECT_EQ(fake_.examples[0].pair().rejected(), "a photo of a dog.");
  EXPECT_FALSE(fake_.examples[0].pair().clean_image().empty());
}

TEST_F(AttackCli, JsonGivesTheCounts) {
  ASSERT_EQ(
      RunAsIs({"dataset", "attack", folder_.File("photos"),
               folder_.File("attacked"), "--labelled", "--output", "json"}),
      kExitDone)
      << err_.str();
  const nlohmann::json summary = nlohmann::json::parse(out_.str());
  EXPECT_EQ(summary["picture_count"], 2);
  EXPECT_EQ(summary["class_count"], 2);
  EXPECT_EQ(summary["ignored_file_count"], 0);
}

TEST_F(AttackCli, WhatCannotBeIsAnErrorWithItsReason) {
  EXPECT_EQ(RunAsIs({"dataset", "attack", folder_.File("photos"),
                     folder_.File("attacked"), "--font", "No Such Font"}),
            kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("(FONT_MISSING)"));
  EXPECT_EQ(RunAsIs({"dataset", "attack", folder_.File("photos"),
                     folder_.File("attacked"), "--side", "3"}),
            kExitUsage);
  EXPECT_FALSE(std::filesystem::exists(folder_.File("attacked")));
}

}  // namespace
}  // namespace attune::client
