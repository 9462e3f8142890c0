// The command line as a user sees it: what is sent, printed and returned.

#include "client/commands/cli.h"

#include <filesystem>

#include "client/examples_file.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli_fixture.h"

namespace attune::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(CliTest, EveryCommandHasHelpWithAnExample) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{},
                                             {"model", "import"},
                                             {"model", "list"},
                                             {"model", "show"},
                                             {"model", "alias"},
                                             {"model", "export"},
                                             {"model", "delete"},
                                             {"dataset", "create"},
                                             {"dataset", "upload"},
                                             {"dataset", "seal"},
                                             {"dataset", "list"},
                                             {"dataset", "show"},
                                             {"dataset", "delete"},
                                             {"dataset", "drop"},
                                             {"job", "submit"},
                                             {"job", "list"},
                                             {"job", "show"},
                                             {"job", "watch"},
                                             {"job", "metrics"},
                                             {"job", "cancel"},
                                             {"embed", "image"},
                                             {"embed", "text"},
                                             {"classify"},
                                             {"evaluate"},
                                             {"evaluation", "list"},
                                             {"evaluation", "show"},
                                             {"worker", "list"}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--help");
    EXPECT_EQ(RunAsIs(arguments), kExitDone);
    EXPECT_THAT(out_.str(), HasSubstr("Example")) << command.back();
  }
}

TEST_F(CliTest, AGroupsHelpHasItsCommandsAndNotTheExamplesOfAll) {
  for (const char* group :
       {"model", "dataset", "job", "embed", "evaluation", "worker"}) {
    EXPECT_EQ(RunAsIs({group, "--help"}), kExitDone);
    EXPECT_THAT(out_.str(), HasSubstr("Subcommands:"));
    EXPECT_THAT(out_.str(), Not(HasSubstr("attune model import base")));
    EXPECT_THAT(out_.str(), Not(HasSubstr("Exit codes:")));
    out_.str("");
  }
  EXPECT_EQ(RunAsIs({"--help"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("attune model import base"));
}

TEST_F(CliTest, AWrongCommandLineReturnsTwoAndNamesTheHelp) {
  EXPECT_EQ(RunAsIs({}), kExitUsage);
  EXPECT_EQ(RunAsIs({"nonsense"}), kExitUsage);
  EXPECT_EQ(RunAsIs({"model", "list", "--output", "xml"}), kExitUsage);
  EXPECT_EQ(RunAsIs({"dataset", "upload", "a", "b", "--no-wait"}), kExitUsage);
  EXPECT_EQ(RunAsIs({"model", "export", "base"}), kExitUsage);
  EXPECT_EQ(err_.str(),
            "attune: --out is required (USAGE)\n"
            "See: attune model export --help\n");
}

TEST_F(CliTest, NoServerReturnsFourWithOneLine) {
  std::string address;
  { address = FakeServer().address(); }
  EXPECT_EQ(RunAsIs({"model", "list", "--server", address}), kExitUnreachable);
  EXPECT_THAT(err_.str(),
              StartsWith("attune: no attune-server answers at " + address));
  EXPECT_THAT(err_.str(), ::testing::EndsWith(" (SERVER_UNREACHABLE)\n"));
}

TEST_F(CliTest, ErrorsArePrintedWithReasonAndFields) {
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.failures = {InvalidFields(
        "INVALID_NAME", {{"name", "is no name"}, {"x", "is wrong"}})};
  }
  EXPECT_EQ(Run({"dataset", "create", "A"}), kExitFailed);
  EXPECT_EQ(err_.str(),
            "attune: name: is no name (and 1 more) (INVALID_NAME)\n"
            "  name: is no name\n"
            "  x: is wrong\n");
  EXPECT_EQ(out_.str(), "");
}

TEST_F(CliTest, ASingleFieldIsNotToldTwice) {
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.failures = {InvalidField("name", "is no name")};
  }
  EXPECT_EQ(Run({"dataset", "create", "A"}), kExitFailed);
  EXPECT_EQ(err_.str(), "attune: name: is no name (INVALID_FIELD)\n");
}

TEST_F(CliTest, JsonHasTheApisNamesAndZeroValues) {
  EXPECT_EQ(Run({"--output", "json", "worker", "list"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("\"state\":\"WORKER_STATE_IDLE\""));
  EXPECT_THAT(out_.str(), HasSubstr("\"memory_bytes\":\"0\""));
  EXPECT_EQ(out_.str().find('\n'), out_.str().size() - 1);
}

TEST_F(CliTest, CandidatesAreTheLinesOfTheFile) {
  const std::string path = WriteFile("p.txt", "a dog.\n\na cat.\n");
  EXPECT_EQ(Run({"dataset", "create", "rta", "--candidates", path}), kExitDone);
  EXPECT_EQ(out_.str(), "made dataset rta\n");
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_THAT(fake_.datasets["rta"].candidates(),
              ElementsAre("a dog.", "a cat."));
}

TEST_F(CliTest, AnUploadWithABadLineSendsNothing) {
  WriteFile("a.jpg", "A");
  const std::string path =
      WriteFile("e.jsonl", "{\"image\": \"a.jpg\"}\n{\"image\": \"b.jpg\"}\n");
  EXPECT_EQ(Run({"dataset", "upload", "rta", path}), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("(INVALID_EXAMPLES_FILE)\n"));
  EXPECT_THAT(err_.str(), HasSubstr(path + ":2: there is no file"));
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_EQ(fake_.call_count, 0);
}

TEST_F(CliTest, SealingAnUploadWaitsAndSaysWhatFor) {
  WriteFile("a.jpg", "A");
  const std::string path = WriteFile("e.jsonl", "{\"image\": \"a.jpg\"}\n");
  {
    absl::MutexLock lock(&fake_.mutex);
    v1::Dataset dataset;
    dataset.set_name("rta");
    dataset.set_state(v1::DATASET_STATE_VALIDATING);
    dataset.set_status_message("1 of 2");
    fake_.validation.push_back(dataset);
    fake_.validation.push_back(dataset);
    dataset.set_state(v1::DATASET_STATE_SEALED);
    dataset.clear_status_message();
    dataset.set_example_count(1);
    dataset.set_clean_count(1);
    fake_.validation.push_back(dataset);
  }
  EXPECT_EQ(Run({"dataset", "upload", "rta", path, "--seal"}), kExitDone);
  EXPECT_EQ(err_.str(),
            "validating rta: no worker\n"
            "validating rta: 1 of 2\n");
  EXPECT_THAT(out_.str(), StartsWith("added 1 examples to rta\n"));
  EXPECT_THAT(out_.str(), HasSubstr("State:     SEALED\n"));
  EXPECT_THAT(out_.str(), HasSubstr("Kinds:     1 clean\n"));
}

TEST_F(CliTest, SealingWithoutWaitingReturnsAtOnce) {
  WriteFile("a.jpg", "A");
  const std::string path = WriteFile("e.jsonl", "{\"image\": \"a.jpg\"}\n");
  EXPECT_EQ(Run({"dataset", "upload", "rta", path, "--seal", "--no-wait",
                 "--output", "json"}),
            kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("DATASET_STATE_VALIDATING"));
}

TEST_F(CliTest, AnInvalidDatasetReturnsOneWithItsRows) {
  {
    absl::MutexLock lock(&fake_.mutex);
    v1::Dataset dataset;
    dataset.set_name("rta");
    dataset.set_state(v1::DATASET_STATE_INVALID);
    dataset.set_invalid_example_count(1);
    dataset.add_invalid_examples()->set_example(7);
    dataset.mutable_invalid_examples(0)->set_reason("the JPEG is cut");
    fake_.validation.push_back(dataset);
  }
  EXPECT_EQ(Run({"dataset", "seal", "rta"}), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("(DATASET_INVALID)\n"));
  EXPECT_THAT(err_.str(), HasSubstr("  example 7: the JPEG is cut\n"));
}

TEST_F(CliTest, DroppingGoesOnUntilNoBadExampleIsLeft) {
  {
    absl::MutexLock lock(&fake_.mutex);
    v1::Dataset dataset;
    dataset.set_name("rta");
    dataset.set_state(v1::DATASET_STATE_INVALID);
    dataset.set_invalid_example_count(130);
    fake_.validation.push_back(dataset);
    dataset.set_state(v1::DATASET_STATE_SEALED);
    dataset.set_invalid_example_count(0);
    fake_.validation.push_back(dataset);
  }
  EXPECT_EQ(Run({"dataset", "drop", "rta"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("State:     SEALED\n"));
  absl::MutexLock lock(&fake_.mutex);
  ASSERT_EQ(fake_.request_ids.size(), 2u);
  EXPECT_NE(fake_.request_ids[0], fake_.request_ids[1]);
}

TEST_F(CliTest, ListsTurnAllPages) {
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_EQ(Run({"dataset", "create", name}), kExitDone);
  }
  EXPECT_EQ(Run({"dataset", "list"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("\na"));
  EXPECT_THAT(out_.str(), HasSubstr("\nc"));
  EXPECT_EQ(Run({"dataset", "list", "--output", "json"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("\"name\":\"c\""));
}

TEST_F(CliTest, UnknownDatasetReturnsOneWithNotFound) {
  EXPECT_EQ(Run({"dataset", "delete", "none"}), kExitFailed);
  EXPECT_EQ(err_.str(), "attune: there is no dataset 'none' (NOT_FOUND)\n");
}

TEST_F(CliTest, ModelsAreImportedAndExported) {
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.version.set_model("base");
    fake_.version.set_number(1);
    fake_.version.set_parameter_count(3'900'000);
  }
  const std::string in = WriteFile("in", "tensors");
  const std::string out = folder_.File("out");
  EXPECT_EQ(Run({"model", "import", "base", in}), kExitDone);
  EXPECT_THAT(out_.str(), StartsWith("imported base:1: 3,900,000 parameters"));
  EXPECT_EQ(Run({"model", "export", "base@latest", "--out", out}), kExitDone);
  EXPECT_EQ(*ReadFile(out), "tensors");
  EXPECT_THAT(out_.str(), HasSubstr("(7 B)"));
}

TEST_F(CliTest, AFileThatIsNoModelMakesNoFolder) {
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.version.set_model("base");
    fake_.version.set_number(1);
    fake_.model_file = "no model at all";
  }
  const std::string out = folder_.File("exported");
  EXPECT_EQ(
      Run({"model", "export", "base", "--format", "huggingface", "--out", out}),
      kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("(NOT_SAFETENSORS)"));
  EXPECT_FALSE(std::filesystem::exists(out));
  // A file stands where the folder is to be.
  WriteFile("taken", "");
  EXPECT_EQ(Run({"model", "export", "base", "--format", "open_clip", "--out",
                 folder_.File("taken")}),
            kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("(FILE_NOT_WRITTEN)"));
  EXPECT_EQ(
      RunAsIs({"model", "export", "base", "--format", "onnx", "--out", out}),
      kExitUsage);
}

TEST_F(CliTest, ClassifyPrintsATableOfTheBestLabels) {
  {
    absl::MutexLock lock(&fake_.mutex);
    v1::LabelScore& dog = *fake_.classification.add_scores();
    dog.set_label("dog");
    dog.set_probability(0.9F);
    dog.set_logit(21.5F);
  }
  const std::string path = WriteFile("a.jpg", "A");
  EXPECT_EQ(Run({"classify", path, "--model", "robust", "--labels", "dog, cat",
                 "--template", "a photo of a {}.", "--template", "a {}.",
                 "--top-k", "1"}),
            kExitDone);
  EXPECT_THAT(out_.str(), StartsWith("robust:1\n"));
  EXPECT_THAT(out_.str(), HasSubstr(path + "  dog         0.9000  21.50\n"));
  absl::MutexLock lock(&fake_.mutex);
  const v1::ClassifyImagesRequest& request = fake_.classify_requests.at(0);
  EXPECT_THAT(request.labels(), ElementsAre("dog", "cat"));
  EXPECT_THAT(request.templates(), ElementsAre("a photo of a {}.", "a {}."));
  EXPECT_EQ(request.top_k(), 1);
}

TEST_F(CliTest, APictureThatFailsReturnsOneAndLeavesTheOthers) {
  const std::string bad = WriteFile("bad.jpg", "");
  const std::string good = WriteFile("good.jpg", "G");
  EXPECT_EQ(Run({"classify", bad, good, "--model", "robust", "--labels", "a,b",
                 "--output", "json"}),
            kExitFailed);
  EXPECT_EQ(err_.str(),
            "attune: " + bad + ": the image is empty (INVALID_IMAGE)\n");
  EXPECT_THAT(out_.str(), HasSubstr("\"classifications\":[{"));
}

TEST_F(CliTest, ImagesBeyondOneRequestAskTheSameVersion) {
  std::vector<std::string> arguments = {"classify", "--model", "robust",
                                        "--labels", "a,b"};
  arguments.insert(arguments.end(), 257, WriteFile("a.jpg", "A"));
  EXPECT_EQ(Run(arguments), kExitDone);
  absl::MutexLock lock(&fake_.mutex);
  ASSERT_EQ(fake_.classify_requests.size(), 2u);
  EXPECT_EQ(fake_.classify_requests[0].version(), "robust");
  EXPECT_EQ(fake_.classify_requests[0].images_size(), 256);
  EXPECT_EQ(fake_.classify_requests[1].version(), "robust:1");
  EXPECT_EQ(fake_.classify_requests[1].images_size(), 1);
}

TEST_F(CliTest, TextsAreEmbeddedAsTheyAre) {
  EXPECT_EQ(
      Run({"embed", "text", "a dog, a cat.", "{}", "", "--model", "robust"}),
      kExitDone);
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_THAT(fake_.embedded_texts, ElementsAre("a dog, a cat.", "{}", ""));
}

TEST_F(CliTest, EmbeddingsArePrintedInShortAndAsJson) {
  const std::string path = WriteFile("a.jpg", "AAA");
  EXPECT_EQ(Run({"embed", "image", path, "--model", "robust"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("[3]"));
  EXPECT_EQ(
      Run({"embed", "image", path, "--model", "robust", "--output", "json"}),
      kExitDone);
  EXPECT_EQ(out_.str(),
            "{\"version\":\"robust:1\",\"embeddings\":[{\"values\":[3]}]}\n");
}

}  // namespace
}  // namespace attune::client
