#include "server/core/datasets/dataset_manager.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/ids.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/core/datasets/dataset_digest.h"
#include "server/core/datasets/dataset_upload.h"
#include "server/core/upload_staging.h"
#include "tests/server/core/jobs_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;

class DatasetManagerTest : public JobsFixture {
 protected:
  // The fields that an upload of `examples` to a dataset with these candidates
  // is refused for, after a check that it changed nothing.
  std::vector<std::string> RefusedFields(std::vector<ExampleInput> examples,
                                         std::vector<std::string> candidates) {
    const std::string name = absl::StrCat("d", next_++);
    EXPECT_THAT(datasets_->Create(name, std::move(candidates), {}), IsOk());
    const std::string before = Everything();
    const absl::Status status = Upload(name, std::move(examples)).status();
    EXPECT_THAT(status, HasError(kInvalid, "INVALID_EXAMPLES"));
    EXPECT_EQ(Everything(), before);
    std::vector<std::string> fields;
    for (const FieldViolation& violation : ErrorFields(status)) {
      fields.push_back(violation.field);
    }
    return fields;
  }

  // A validation of "d" leaves it INVALID with its second example.
  void MakeInvalid() {
    AddWorker();
    ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
    ASSERT_THAT(Upload("d", {Labelled("a", "a dog"), Labelled("b", "a cat")}),
                IsOk());
    ASSERT_THAT(datasets_->Seal("d", {}), IsOk());
    ASSERT_THAT(reports_->Complete(Lease().lease_token,
                                   ValidateResult{{{2, "is cut off"}}, 1}),
                IsOk());
  }

  int next_ = 0;
};

TEST_F(DatasetManagerTest, ADatasetGoesFromOpenToSealed) {
  AddWorker();
  auto view = datasets_->Create("rta", {}, {});
  ASSERT_THAT(view, IsOk());
  EXPECT_EQ(view->dataset.state, storage::DatasetState::kOpen);
  EXPECT_EQ(*Upload("rta", {Pair("p", "a dog", "a cat"), Clean("c")}), 2);

  view = datasets_->Seal("rta", {});
  ASSERT_THAT(view, IsOk());
  EXPECT_EQ(view->dataset.state, storage::DatasetState::kValidating);
  EXPECT_EQ(view->status_message, "position 1");
  EXPECT_THAT(view->dataset.candidates, ElementsAre("a cat", "a dog"));

  const LeasedTask task = Lease();
  EXPECT_EQ(TaskName(task.job), "validate-rta");
  EXPECT_EQ(task.dataset.counts.total(), 2);
  EXPECT_EQ(datasets_->Get("rta")->status_message, "decoding");
  ASSERT_THAT(leases_->Heartbeat(task.lease_token, 1, 2), IsOk());
  EXPECT_EQ(datasets_->Get("rta")->status_message, "decoding, 1 of 2");

  ASSERT_THAT(reports_->Complete(task.lease_token, ValidateResult{}), IsOk());
  view = datasets_->Get("rta");
  EXPECT_EQ(view->dataset.state, storage::DatasetState::kSealed);
  EXPECT_EQ(view->dataset.seal_time, clock_.WallNow());
  EXPECT_TRUE(IsSha256Hex(view->dataset.digest));
  EXPECT_EQ(view->status_message, "");
}

TEST_F(DatasetManagerTest, WithoutAWorkerValidatingSaysSo) {
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  ASSERT_THAT(Upload("d", {Clean("c")}), IsOk());
  EXPECT_EQ(datasets_->Seal("d", {})->status_message, "no worker");
}

TEST_F(DatasetManagerTest, TheDigestDoesNotDependOnTheOrderOfUpload) {
  MakeSealed("one", {Pair("p", "a dog", "a cat"), Clean("c")});
  MakeSealed("two", {Clean("c"), Pair("p", "a dog", "a cat")});
  MakeSealed("three", {Clean("c"), Pair("p", "a cat", "a dog")});
  const std::string digest = datasets_->Get("one")->dataset.digest;
  EXPECT_EQ(datasets_->Get("two")->dataset.digest, digest);
  EXPECT_NE(datasets_->Get("three")->dataset.digest, digest);
}

TEST_F(DatasetManagerTest, EveryFieldOfARowChangesItsDigest) {
  storage::Example example;
  example.id = 1;
  example.kind = storage::ExampleKind::kCaption;
  example.image_digest = Sha256Hex("image");
  example.text = "a";
  example.attributes = {{"k", "v"}};
  const std::string digest = ExampleDigest(example);
  storage::Example other = example;
  other.id = 2;
  EXPECT_EQ(ExampleDigest(other), digest);
  other.kind = storage::ExampleKind::kLabelled;
  EXPECT_NE(ExampleDigest(other), digest);
  other = example;
  other.text = "b";
  EXPECT_NE(ExampleDigest(other), digest);
  other = example;
  other.image_digest = Sha256Hex("other");
  EXPECT_NE(ExampleDigest(other), digest);
  other = example;
  std::swap(other.attributes, other.caption_attributes);
  EXPECT_NE(ExampleDigest(other), digest);
  other = example;
  other.attributes = {{"kv", ""}};
  EXPECT_NE(ExampleDigest(other), digest);
}

TEST_F(DatasetManagerTest, BadNamesAreRefused) {
  const std::string before = Everything();
  for (const std::string& name :
       {std::string("../x"), std::string("/etc/x"), std::string("a/b"),
        std::string("."), std::string(), std::string(300, 'a'),
        std::string("%2e%2e"), std::string("a\0b", 3)}) {
    EXPECT_THAT(datasets_->Create(name, {}, {}),
                HasError(kInvalid, "INVALID_NAME"))
        << name;
  }
  EXPECT_EQ(Everything(), before);
}

TEST_F(DatasetManagerTest, ANameInUseAlreadyExists) {
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  EXPECT_EQ(datasets_->Create("d", {}, {}).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(DatasetManagerTest, CandidatesMustBeDistinctGoodTextsAndNotTooMany) {
  const std::string before = Everything();
  EXPECT_THAT(datasets_->Create("d", {"a", "b", "a"}, {}),
              HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(datasets_->Create("d", {"a", " "}, {}),
              HasError(kInvalid, "INVALID_TEXT"));
  std::vector<std::string> many;
  for (int i = 0; i < 10'001; ++i) many.push_back(absl::StrCat(i));
  EXPECT_THAT(datasets_->Create("d", many, {}),
              HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(
      datasets_->Create(
          "d", std::vector<std::string>(many.begin(), many.begin() + 2), {}),
      IsOk());
  ASSERT_THAT(datasets_->Delete("d", {}), IsOk());
  std::vector<std::string> large;
  for (int i = 0; i < 300; ++i) {
    large.push_back(absl::StrCat(i, std::string(8'000, 'a')));
  }
  EXPECT_THAT(datasets_->Create("d", large, {}),
              HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_EQ(Everything(), before);
  many.pop_back();
  EXPECT_THAT(datasets_->Create("d", many, {}), IsOk());
}

TEST_F(DatasetManagerTest, ARepeatedCreateGivesTheFirstAnswer) {
  const RequestKey key = {NewUuid(), "digest"};
  ASSERT_THAT(datasets_->Create("d", {}, key), IsOk());
  EXPECT_THAT(datasets_->Create("d", {}, key), IsOk());
  EXPECT_THAT(datasets_->Create("e", {}, {key.id, "other"}),
              HasError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
  EXPECT_THAT(datasets_->Create("e", {}, {"no-uuid", "digest"}),
              HasError(kInvalid, "INVALID_REQUEST_ID"));
}

TEST_F(DatasetManagerTest, BadRowsAreRefusedByField) {
  ExampleInput missing_side = Pair("p", "a dog", "");
  EXPECT_THAT(RefusedFields({Clean("c"), missing_side}, {}),
              ElementsAre("examples[1].pair.rejected"));
  EXPECT_THAT(RefusedFields({Pair("p", "a dog", "a dog")}, {}),
              ElementsAre("examples[0].pair.rejected"));
  EXPECT_THAT(RefusedFields({Pair("p", "a dog", "a cow")}, {"a dog", "a cat"}),
              ElementsAre("examples[0].pair.rejected"));
  EXPECT_THAT(
      RefusedFields({Labelled("l", "a cow", "a bee")}, {"a dog", "a cat"}),
      ElementsAre("examples[0].labelled.label", "examples[0].labelled.attack"));
  EXPECT_THAT(RefusedFields({Labelled("l", "a dog", "a dog")}, {}),
              ElementsAre("examples[0].labelled.attack"));
  for (const std::string& text :
       {std::string(), std::string("  "), std::string(8193, 'a'),
        std::string("a\0b", 3), std::string("a\x07")}) {
    EXPECT_THAT(RefusedFields({Caption("c", text)}, {}),
                ElementsAre("examples[0].caption.caption"));
  }
  ExampleInput no_kind = Clean("c");
  no_kind.example.kind = static_cast<storage::ExampleKind>(0);
  EXPECT_THAT(RefusedFields({no_kind}, {}), ElementsAre("examples[0].kind"));
}

TEST_F(DatasetManagerTest, BadImagesAreRefusedFromTheirHeader) {
  for (const std::string& image :
       {std::string(), std::string("no image at all"),
        std::string("GIF89a\1\0\1\0\0\0\0;", 14), std::string("<svg></svg>"),
        std::string("BM\0\0\0\0", 6), std::string("II*\0\0\0\0\0", 8)}) {
    ExampleInput example = Clean("c");
    example.image = image;
    EXPECT_THAT(RefusedFields({example}, {}), ElementsAre("examples[0].image"));
  }
  ExampleInput pair = Pair("p", "a", "b");
  pair.clean_image = "no image";
  EXPECT_THAT(RefusedFields({pair}, {}),
              ElementsAre("examples[0].pair.clean_image"));
}

TEST_F(DatasetManagerTest, AWrongDigestOfAPictureIsRefused) {
  ExampleInput example = Clean("c");
  example.image_digest = Sha256Hex("other");
  EXPECT_THAT(RefusedFields({example}, {}),
              ElementsAre("examples[0].image_digest"));
}

TEST_F(DatasetManagerTest, TooManyOrTooLongAttributesAreRefused) {
  ExampleInput many = Clean("c");
  for (int i = 0; i < 65; ++i) many.example.attributes[absl::StrCat(i)] = "v";
  EXPECT_THAT(RefusedFields({many}, {}), ElementsAre("examples[0].attributes"));
  ExampleInput longer = Caption("c", "a dog");
  longer.example.caption_attributes["k"] = std::string(1024, 'v');
  EXPECT_THAT(RefusedFields({longer}, {}),
              ElementsAre("examples[0].caption.caption_attributes"));
}

TEST_F(DatasetManagerTest, TheFirstHundredBadRowsAreNamed) {
  std::vector<ExampleInput> examples;
  for (int i = 0; i < 250; ++i) {
    examples.push_back(i % 2 == 0 ? Clean("c") : Pair("p", "a", "a"));
  }
  const auto fields = RefusedFields(std::move(examples), {});
  ASSERT_THAT(fields, SizeIs(100));
  EXPECT_EQ(fields.front(), "examples[1].pair.rejected");
  EXPECT_EQ(fields.back(), "examples[199].pair.rejected");
}

TEST_F(DatasetManagerTest, CaptionsNeedNotBeCandidates) {
  ASSERT_THAT(datasets_->Create("d", {"a dog"}, {}), IsOk());
  EXPECT_THAT(Upload("d", {Caption("c", "a red ball")}), IsOk());
}

TEST_F(DatasetManagerTest, AnEmptyUploadIsRefused) {
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  EXPECT_THAT(Upload("d", {}), HasError(kInvalid, "EMPTY_UPLOAD"));
}

TEST_F(DatasetManagerTest, ARepeatedUploadAddsNothing) {
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  const RequestKey key = {NewUuid(), "content"};
  EXPECT_EQ(*Upload("d", {Clean("a"), Clean("b")}, key), 2);
  ASSERT_THAT(datasets_->Seal("d", {}), IsOk());
  // Also once the dataset is sealed: the answer to the first may be lost.
  EXPECT_EQ(*Upload("d", {Clean("a"), Clean("b")}, key), 2);
  EXPECT_EQ(datasets_->Get("d")->dataset.counts.total(), 2);
  EXPECT_THAT(Upload("d", {Clean("x")}, {key.id, "other"}),
              HasError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
}

TEST_F(DatasetManagerTest, AnUploadCommittedMeanwhileLeavesNothingStaged) {
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  const RequestKey key = {NewUuid(), "content"};
  const storage::Dataset seen = datasets_->Get("d")->dataset;
  ASSERT_EQ(*Upload("d", {Clean("a")}, key), 1);
  // As BeginUpload does it when the commit comes after its look.
  auto staging = UploadStaging::Begin(*state_, clock_, key.id, "dataset/d", 0);
  ASSERT_THAT(staging, IsOk());
  DatasetUpload upload(*state_, *blobs_, clock_, seen, *std::move(staging));
  ASSERT_THAT(upload.Add(Clean("a")), IsOk());
  ASSERT_THAT(upload.StoreBatch(10, "state"), IsOk());
  const auto added = upload.Commit(key);
  ASSERT_THAT(added, IsOk());
  EXPECT_EQ(*added, 1);
  EXPECT_EQ(datasets_->Get("d")->dataset.counts.total(), 1);
  EXPECT_THAT(state_->Read([&](storage::StateTransaction& transaction) {
    const auto found = transaction.uploads().Find(key.id);
    EXPECT_FALSE(found.ok() && found->has_value());
    return found.status();
  }),
              IsOk());
}

TEST_F(DatasetManagerTest, ASealedDatasetTakesNoMore) {
  MakePreferences();
  const std::string before = Everything();
  EXPECT_THAT(Upload("rta", {Clean("x")}),
              HasError(kPrecondition, "DATASET_SEALED"));
  EXPECT_THAT(datasets_->Seal("rta", {}),
              HasError(kPrecondition, "DATASET_SEALED"));
  EXPECT_EQ(Everything(), before);
}

TEST_F(DatasetManagerTest, AnUploadThatASealOvertakesIsRefused) {
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  ASSERT_THAT(Upload("d", {Clean("a")}), IsOk());
  auto upload = datasets_->BeginUpload("d", "");
  ASSERT_THAT(upload, IsOk());
  ASSERT_THAT((*upload)->Add(Clean("b")), IsOk());
  ASSERT_THAT(datasets_->Seal("d", {}), IsOk());
  EXPECT_THAT((*upload)->Commit({}), HasError(kPrecondition, "DATASET_SEALED"));
  EXPECT_EQ(datasets_->Get("d")->dataset.counts.total(), 1);
}

TEST_F(DatasetManagerTest, ABatchThatASealOvertakesSaysSoToo) {
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  ASSERT_THAT(Upload("d", {Clean("a")}), IsOk());
  auto upload = datasets_->BeginUpload("d", "");
  ASSERT_THAT(upload, IsOk());
  ASSERT_THAT((*upload)->Add(Clean("b")), IsOk());
  ASSERT_THAT(datasets_->Seal("d", {}), IsOk());
  ASSERT_THAT((*upload)->StoreBatch(10, "state"), IsOk());
  EXPECT_THAT((*upload)->Commit({}), HasError(kPrecondition, "DATASET_SEALED"));
}

TEST_F(DatasetManagerTest, ASealForgetsTheUploadsThatWereCut) {
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  ASSERT_THAT(Upload("d", {Clean("a")}), IsOk());
  const std::string id = NewUuid();
  {
    auto upload = datasets_->BeginUpload("d", id);
    ASSERT_THAT(upload, IsOk());
    ASSERT_THAT((*upload)->Add(Clean("b")), IsOk());
    (*upload)->Keep(10, "state");
  }
  EXPECT_EQ(datasets_->GetUpload("d", id)->offset, 10);
  ASSERT_THAT(datasets_->Seal("d", {}), IsOk());
  EXPECT_EQ(datasets_->GetUpload("d", id)->offset, 0);
}

TEST_F(DatasetManagerTest, AnEmptyDatasetCannotBeSealed) {
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  const std::string before = Everything();
  EXPECT_THAT(datasets_->Seal("d", {}),
              HasError(kPrecondition, "EMPTY_DATASET"));
  EXPECT_EQ(Everything(), before);
}

TEST_F(DatasetManagerTest, TooManyTextsNeedNamedCandidates) {
  std::vector<ExampleInput> examples = {Labelled("l", "a dog")};
  for (int i = 0; i < 10'000; ++i) {
    examples.push_back(Caption("c", absl::StrCat("caption ", i)));
  }
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  ASSERT_THAT(Upload("d", examples), IsOk());
  const std::string before = Everything();
  EXPECT_THAT(datasets_->Seal("d", {}),
              HasError(kPrecondition, "TOO_MANY_CANDIDATES"));
  EXPECT_EQ(Everything(), before);
  // Captions alone match within a batch and need no list.
  ASSERT_THAT(datasets_->Create("captions", {}, {}), IsOk());
  examples[0] = Caption("c", "one more");
  ASSERT_THAT(Upload("captions", examples), IsOk());
  const auto view = datasets_->Seal("captions", {});
  ASSERT_THAT(view, IsOk());
  EXPECT_THAT(view->dataset.candidates, IsEmpty());
}

TEST_F(DatasetManagerTest, UnknownDatasetsAreNotFound) {
  constexpr auto kNotFound = absl::StatusCode::kNotFound;
  EXPECT_THAT(datasets_->Get("none"), HasError(kNotFound, "NOT_FOUND"));
  EXPECT_THAT(datasets_->Seal("none", {}), HasError(kNotFound, "NOT_FOUND"));
  EXPECT_THAT(datasets_->Delete("none", {}), HasError(kNotFound, "NOT_FOUND"));
  EXPECT_THAT(datasets_->ListExamples("none", 0, 10),
              HasError(kNotFound, "NOT_FOUND"));
  EXPECT_THAT(datasets_->BeginUpload("none", "").status(),
              HasError(kNotFound, "NOT_FOUND"));
}

TEST_F(DatasetManagerTest, BadImagesMakeItInvalidAndDroppingThemSealsTheRest) {
  MakeInvalid();
  auto view = datasets_->Get("d");
  EXPECT_EQ(view->dataset.state, storage::DatasetState::kInvalid);
  ASSERT_THAT(view->dataset.invalid_examples, SizeIs(1));
  EXPECT_EQ(view->dataset.invalid_examples[0].example, 2);
  EXPECT_EQ(view->dataset.digest, "");
  EXPECT_EQ(view->status_message, "1 examples cannot be decoded");

  view = datasets_->DropInvalid("d", {});
  ASSERT_THAT(view, IsOk());
  EXPECT_EQ(view->dataset.state, storage::DatasetState::kValidating);
  EXPECT_THAT(view->dataset.candidates, ElementsAre("a dog"));
  ASSERT_THAT(reports_->Complete(Lease().lease_token, ValidateResult{}),
              IsOk());
  view = datasets_->Get("d");
  EXPECT_EQ(view->dataset.state, storage::DatasetState::kSealed);
  EXPECT_EQ(view->dataset.counts.total(), 1);
  EXPECT_THAT(view->dataset.invalid_examples, IsEmpty());
  EXPECT_THAT(datasets_->DropInvalid("d", {}),
              HasError(kPrecondition, "DATASET_NOT_INVALID"));
}

TEST_F(DatasetManagerTest, AValidationThatNeverFinishesLeavesItInvalid) {
  AddWorker();
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  ASSERT_THAT(Upload("d", {Clean("a")}), IsOk());
  ASSERT_THAT(datasets_->Seal("d", {}), IsOk());
  ASSERT_THAT(reports_->Fail(Lease().lease_token, FailureKind::kPermanent,
                             "DECODER_DIED", "no memory"),
              IsOk());
  auto view = datasets_->Get("d");
  EXPECT_EQ(view->dataset.state, storage::DatasetState::kInvalid);
  EXPECT_EQ(view->status_message,
            "the validation did not finish: DECODER_DIED: no memory");
  // Nothing to drop: it is validated again.
  view = datasets_->DropInvalid("d", {});
  ASSERT_THAT(view, IsOk());
  EXPECT_EQ(view->dataset.counts.total(), 1);
  EXPECT_EQ(view->dataset.state, storage::DatasetState::kValidating);
}

TEST_F(DatasetManagerTest, ADatasetInUseIsNotDeleted) {
  AddBase();
  MakePreferences();
  const storage::Job job = CreateDpoJob();
  const std::string before = Everything();
  EXPECT_THAT(datasets_->Delete("rta", {}),
              HasError(kPrecondition, "DATASET_IN_USE"));
  EXPECT_EQ(Everything(), before);
  ASSERT_THAT(jobs_->Cancel(job.id, {}), IsOk());
  EXPECT_THAT(datasets_->Delete("rta", {}), IsOk());
  EXPECT_EQ(datasets_->Get("rta").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(DatasetManagerTest, AWaitingValidationGoesWithItsDataset) {
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  ASSERT_THAT(Upload("d", {Clean("a")}), IsOk());
  ASSERT_THAT(datasets_->Seal("d", {}), IsOk());
  EXPECT_THAT(datasets_->Delete("d", {}), IsOk());
  AddWorker();
  EXPECT_EQ(*AskForTask(), std::nullopt);
}

TEST_F(DatasetManagerTest, ARunningValidationKeepsItsDataset) {
  AddWorker();
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  ASSERT_THAT(Upload("d", {Clean("a")}), IsOk());
  ASSERT_THAT(datasets_->Seal("d", {}), IsOk());
  Lease();
  EXPECT_THAT(datasets_->Delete("d", {}),
              HasError(kPrecondition, "DATASET_IN_USE"));
}

TEST_F(DatasetManagerTest, ListsByNameAfterAPosition) {
  for (const char* name : {"c", "a", "b"}) {
    ASSERT_THAT(datasets_->Create(name, {}, {}), IsOk());
  }
  const auto views = datasets_->List("a", 10);
  ASSERT_THAT(views, IsOk());
  ASSERT_THAT(*views, SizeIs(2));
  EXPECT_EQ((*views)[0].dataset.name, "b");
  EXPECT_EQ((*views)[1].dataset.name, "c");
}

}  // namespace
}  // namespace attune::core
