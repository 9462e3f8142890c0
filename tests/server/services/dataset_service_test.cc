#include "server/services/dataset_service.h"

#include <functional>
#include <string>
#include <vector>

#include "common/digest.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "common/grpc/delimited.h"
#include "common/ids.h"
#include "gmock/gmock.h"
#include "tests/server/services/service_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::services {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class DatasetServiceTest : public ServiceFixture {
 protected:
  v1::Dataset Get(const std::string& name) {
    v1::GetDatasetRequest request;
    request.set_name(name);
    const auto dataset = Call<v1::Dataset>([&](auto* context, auto* response) {
      return datasets_->GetDataset(context, request, response);
    });
    EXPECT_THAT(dataset, IsOk());
    return dataset.ok() ? *dataset : v1::Dataset();
  }

  absl::StatusOr<v1::ListExamplesResponse> ListExamples(
      const std::string& dataset, int32_t page_size,
      const std::string& page_token = "") {
    v1::ListExamplesRequest request;
    request.set_dataset(dataset);
    request.set_page_size(page_size);
    request.set_page_token(page_token);
    return Call<v1::ListExamplesResponse>([&](auto* context, auto* response) {
      return datasets_->ListExamples(context, request, response);
    });
  }

  const std::vector<v1::Example> examples_ = {
      PairExample("p", "a dog", "a cat"), CleanExample("c1"),
      CleanExample("c2")};
};

TEST_F(DatasetServiceTest, AnUploadInAnyChunksCommitsWhole) {
  for (const size_t chunk_bytes : {size_t{1}, size_t{50}, size_t{1} << 20}) {
    const std::string name = "d" + std::to_string(chunk_bytes);
    ASSERT_THAT(CreateDataset(name), IsOk());
    const auto response = Upload(UploadStream(name, examples_, chunk_bytes));
    ASSERT_THAT(response, IsOk());
    EXPECT_EQ(response->added_count(), 3);
    EXPECT_EQ(response->dataset().pair_count(), 1);
    EXPECT_EQ(response->dataset().clean_count(), 2);
    EXPECT_EQ(response->dataset().state(), v1::DATASET_STATE_OPEN);
  }
}

TEST_F(DatasetServiceTest, ADownloadIsAnUploadWithTheSameDigest) {
  std::vector<v1::Example> examples = examples_;
  examples[0].mutable_pair()->set_clean_image(examples[1].image());
  (*examples[1].mutable_attributes())["source"] = "test";
  MakeSealed("first", examples);
  grpc::ClientContext context;
  v1::DownloadExamplesRequest request;
  request.set_dataset("first");
  auto reader = datasets_->DownloadExamples(&context, request);
  std::vector<v1::UploadExamplesRequest> messages(1);
  messages[0].mutable_header()->set_dataset("second");
  v1::DownloadExamplesResponse response;
  while (reader->Read(&response)) {
    if (response.has_chunk()) {
      messages.emplace_back().set_chunk(response.chunk());
    } else {
      *messages.emplace_back().mutable_end() = response.end();
    }
  }
  ASSERT_TRUE(reader->Finish().ok());
  ASSERT_THAT(CreateDataset("second"), IsOk());
  EXPECT_THAT(Upload(messages), IsOk());
  v1::SealDatasetRequest seal;
  seal.set_name("second");
  ASSERT_THAT(Call<v1::Dataset>([&](auto* context, auto* response) {
                return datasets_->SealDataset(context, seal, response);
              }),
              IsOk());
  const v1::Task task = Lease("sealer");
  EXPECT_EQ(task.id(), "validate-second");
  EXPECT_EQ(task.validate().dataset().name(), "second");
  v1::CompleteTaskRequest complete;
  complete.set_lease_token(task.lease_token());
  complete.mutable_validate();
  v1::CompleteTaskResponse completed;
  ASSERT_THAT(Complete(complete, &completed), IsOk());
  EXPECT_EQ(Get("second").state(), v1::DATASET_STATE_SEALED);
  EXPECT_EQ(Get("second").digest(), Get("first").digest());
}

TEST_F(DatasetServiceTest, ARepeatedUploadIsAnsweredAsTheFirst) {
  ASSERT_THAT(CreateDataset("d"), IsOk());
  auto messages = UploadStream("d", examples_);
  messages[0].mutable_header()->set_request_id(NewUuid());
  ASSERT_THAT(Upload(messages), IsOk());
  const auto second = Upload(messages);
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->added_count(), 3);
  EXPECT_EQ(second->dataset().example_count(), 3);
  auto other = UploadStream("d", {examples_[0]});
  *other[0].mutable_header() = messages[0].header();
  EXPECT_THAT(Upload(other),
              HasError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
}

struct BadStreamCase {
  const char* name;
  absl::StatusCode code;
  const char* reason;
  std::function<void(std::vector<v1::UploadExamplesRequest>&)> change;
};

class BadStreamTest : public DatasetServiceTest,
                      public testing::WithParamInterface<BadStreamCase> {};

TEST_P(BadStreamTest, IsRefusedAndStoresNothing) {
  ASSERT_THAT(CreateDataset("d"), IsOk());
  auto messages = UploadStream("d", examples_);
  GetParam().change(messages);
  EXPECT_THAT(Upload(messages), HasError(GetParam().code, GetParam().reason));
  EXPECT_EQ(Get("d").example_count(), 0);
  EXPECT_EQ(Get("d").image_bytes(), 0);
}

using Messages = std::vector<v1::UploadExamplesRequest>;

INSTANTIATE_TEST_SUITE_P(
    All, BadStreamTest,
    testing::Values(
        BadStreamCase{"ChunkTooLarge", kInvalid, "MALFORMED_STREAM",
                      [](Messages& m) {
                        m[1].set_chunk(std::string(kMaxChunkBytes + 1, 'x'));
                      }},
        BadStreamCase{"NoHeader", kInvalid, "MALFORMED_STREAM",
                      [](Messages& m) { m.erase(m.begin()); }},
        BadStreamCase{"HeaderTwice", kInvalid, "MALFORMED_STREAM",
                      [](Messages& m) { m.insert(m.begin(), m[0]); }},
        BadStreamCase{"NoMessages", kInvalid, "MALFORMED_STREAM",
                      [](Messages& m) { m.clear(); }},
        BadStreamCase{"NoData", kInvalid, "MALFORMED_STREAM",
                      [](Messages& m) {
                        m.erase(m.begin() + 1);
                        m.back().mutable_end()->set_size_bytes(0);
                        m.back().mutable_end()->set_sha256(Sha256Hex(""));
                      }},
        BadStreamCase{"NoEnd", kInvalid, "MALFORMED_STREAM",
                      [](Messages& m) { m.pop_back(); }},
        BadStreamCase{"AfterTheEnd", kInvalid, "MALFORMED_STREAM",
                      [](Messages& m) { m.push_back(m[1]); }},
        BadStreamCase{"EmptyMessage", kInvalid, "MALFORMED_STREAM",
                      [](Messages& m) { m[1].Clear(); }},
        BadStreamCase{
            "OffsetOfNothing", kInvalid, "INVALID_FIELD",
            [](Messages& m) { m[0].mutable_header()->set_offset(10); }},
        BadStreamCase{
            "RequestIdNoUuid", kInvalid, "INVALID_REQUEST_ID",
            [](Messages& m) { m[0].mutable_header()->set_request_id("7"); }},
        BadStreamCase{
            "UnknownDataset", absl::StatusCode::kNotFound, "NOT_FOUND",
            [](Messages& m) { m[0].mutable_header()->set_dataset("none"); }},
        BadStreamCase{
            "PathAsName", kInvalid, "INVALID_NAME",
            [](Messages& m) { m[0].mutable_header()->set_dataset("../x"); }},
        BadStreamCase{
            "SizeDiffers", absl::StatusCode::kDataLoss, "DIGEST_MISMATCH",
            [](Messages& m) { m.back().mutable_end()->set_size_bytes(1); }},
        BadStreamCase{"DigestDiffers", absl::StatusCode::kDataLoss,
                      "DIGEST_MISMATCH",
                      [](Messages& m) {
                        m.back().mutable_end()->set_sha256(Sha256Hex("x"));
                      }},
        BadStreamCase{"CutExample", kInvalid, "MALFORMED_STREAM",
                      [](Messages& m) {
                        std::string bytes = m[1].chunk();
                        bytes.pop_back();
                        m[1].set_chunk(bytes);
                        m[2].mutable_end()->set_size_bytes(
                            static_cast<int64_t>(bytes.size()));
                        m[2].mutable_end()->set_sha256(Sha256Hex(bytes));
                      }},
        BadStreamCase{"SizeOfAnotherWorld", kInvalid, "MESSAGE_TOO_LARGE",
                      [](Messages& m) {
                        m[1].set_chunk(std::string("\xff\xff\xff\xff\x7f"));
                      }},
        BadStreamCase{"GoodAndBadRows", kInvalid, "INVALID_EXAMPLES",
                      [](Messages& m) {
                        m = UploadStream("d", {CleanExample("a"),
                                               PairExample("b", "x", "x")});
                      }}),
    [](const auto& info) { return info.param.name; });

TEST_F(DatasetServiceTest, BadRowsTravelAsFieldViolations) {
  ASSERT_THAT(CreateDataset("d"), IsOk());
  const absl::Status status =
      Upload(UploadStream(
                 "d", {CleanExample("a"), PairExample("b", "a dog", "a dog")}))
          .status();
  ASSERT_THAT(ErrorFields(status), SizeIs(1));
  EXPECT_EQ(ErrorFields(status)[0].field, "examples[1].pair.rejected");
}

TEST_F(DatasetServiceTest, AnUploadThatTheClientCutsStoresNothing) {
  ASSERT_THAT(CreateDataset("d"), IsOk());
  {
    grpc::ClientContext context;
    v1::UploadExamplesResponse response;
    auto writer = datasets_->UploadExamples(&context, &response);
    const auto messages = UploadStream("d", examples_);
    ASSERT_TRUE(writer->Write(messages[0]));
    ASSERT_TRUE(writer->Write(messages[1]));
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_EQ(Get("d").example_count(), 0);
  EXPECT_THAT(Upload(UploadStream("d", examples_)), IsOk());
}

TEST_F(DatasetServiceTest, PagesFollowOneAnother) {
  ASSERT_THAT(CreateDataset("d"), IsOk());
  ASSERT_THAT(Upload(UploadStream("d", examples_)), IsOk());
  auto page = ListExamples("d", 2);
  ASSERT_THAT(page, IsOk());
  ASSERT_THAT(page->examples(), SizeIs(2));
  EXPECT_EQ(page->examples(0).id(), 1);
  EXPECT_EQ(page->examples(0).pair().preferred(), "a dog");
  EXPECT_EQ(page->examples(0).image(), "");
  EXPECT_TRUE(IsSha256Hex(page->examples(0).image_digest()));
  page = ListExamples("d", 2, page->next_page_token());
  ASSERT_THAT(page, IsOk());
  ASSERT_THAT(page->examples(), SizeIs(1));
  EXPECT_EQ(page->examples(0).id(), 3);
  EXPECT_EQ(page->next_page_token(), "");
  EXPECT_THAT(ListExamples("d", 1'000'000'000)->examples(), SizeIs(3));
  EXPECT_THAT(ListExamples("d", -1), HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(ListExamples("d", 2, "forged"),
              HasError(kInvalid, "INVALID_PAGE_TOKEN"));
}

TEST_F(DatasetServiceTest, APageWithLongTextsStaysBelowFourMebibytes) {
  ASSERT_THAT(CreateDataset("d"), IsOk());
  std::vector<v1::Example> examples;
  for (int i = 0; i < 700; ++i) {
    v1::Example example = CleanExample("c");
    example.mutable_caption()->set_caption(std::string(8'000, 'a' + i % 26));
    examples.push_back(example);
  }
  ASSERT_THAT(Upload(UploadStream("d", examples)), IsOk());
  int count = 0;
  std::string token;
  do {
    const auto page = ListExamples("d", 10'000, token);
    ASSERT_THAT(page, IsOk());
    EXPECT_LT(page->ByteSizeLong(), static_cast<size_t>(kMaxUnaryBytes));
    count += page->examples_size();
    token = page->next_page_token();
  } while (!token.empty());
  EXPECT_EQ(count, 700);
}

}  // namespace
}  // namespace attune::services
