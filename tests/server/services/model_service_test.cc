#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/server/services/server_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::services {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class ModelServiceTest : public ServerFixture {
 protected:
  // Sends these messages to ImportModel as they are.
  absl::Status Send(const std::vector<v1::ImportModelRequest>& requests) {
    grpc::ClientContext context;
    v1::Version version;
    auto writer = models_->ImportModel(&context, &version);
    for (const auto& request : requests) {
      if (!writer->Write(request)) break;
    }
    writer->WritesDone();
    return FromGrpcStatus(writer->Finish());
  }

  static v1::ImportModelRequest Header(const std::string& model) {
    v1::ImportModelRequest request;
    request.mutable_header()->set_model(model);
    return request;
  }
  static v1::ImportModelRequest Chunk(std::string bytes) {
    v1::ImportModelRequest request;
    request.set_chunk(std::move(bytes));
    return request;
  }
  static v1::ImportModelRequest End(const std::string& file) {
    v1::ImportModelRequest request;
    request.mutable_end()->set_size_bytes(static_cast<int64_t>(file.size()));
    request.mutable_end()->set_sha256(Sha256Hex(file));
    return request;
  }
};

TEST_F(ModelServiceTest, ImportedModelIsShownListedAndExported) {
  const std::string file = core::ClipFile(core::SmallClip());
  v1::Version version;
  ASSERT_THAT(Import("base", file, &version, 1000), IsOk());
  EXPECT_EQ(version.number(), 1);
  EXPECT_EQ(version.source(), v1::Version::SOURCE_IMPORTED);
  EXPECT_EQ(version.config().embedding_size(), 8);
  EXPECT_EQ(version.config().activation(), v1::ACTIVATION_QUICK_GELU);
  EXPECT_THAT(version.aliases(), ElementsAre("latest"));

  v1::ListModelsResponse models;
  ASSERT_THAT(Run([&](grpc::ClientContext* context) {
                return models_->ListModels(context, {}, &models);
              }),
              IsOk());
  ASSERT_EQ(models.models_size(), 1);
  EXPECT_EQ(models.models(0).aliases().at("latest"), 1);

  v1::ExportVersionRequest request;
  request.set_version("base:1");
  grpc::ClientContext context;
  auto reader = models_->ExportVersion(&context, request);
  v1::ExportVersionResponse part;
  std::string exported;
  v1::ImportModelRequest::End end;
  while (reader->Read(&part)) {
    exported += part.chunk();
    if (part.has_end()) end = part.end();
  }
  ASSERT_THAT(FromGrpcStatus(reader->Finish()), IsOk());
  EXPECT_EQ(end.size_bytes(), static_cast<int64_t>(exported.size()));
  EXPECT_EQ(end.sha256(), Sha256Hex(exported));
  v1::Version again;
  ASSERT_THAT(Import("again", exported, &again), IsOk());
  EXPECT_EQ(again.digest(), version.digest());
}

TEST_F(ModelServiceTest, PagesCoverAllModelsOnce) {
  const std::string file = core::ClipFile(core::SmallClip());
  v1::Version version;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    ASSERT_THAT(Import(name, file, &version), IsOk());
  }
  std::vector<std::string> names;
  v1::ListModelsRequest request;
  request.set_page_size(2);
  do {
    v1::ListModelsResponse page;
    ASSERT_THAT(Run([&](grpc::ClientContext* context) {
                  return models_->ListModels(context, request, &page);
                }),
                IsOk());
    EXPECT_LE(page.models_size(), 2);
    for (const auto& model : page.models()) names.push_back(model.name());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(names, ElementsAre("a", "b", "c", "d", "e"));
}

TEST_F(ModelServiceTest, VersionsComeNewestFirst) {
  const std::string file = core::ClipFile(core::SmallClip());
  v1::Version version;
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(Import("base", file, &version), IsOk());
  }
  v1::ListVersionsRequest request;
  request.set_model("base");
  request.set_page_size(2);
  v1::ListVersionsResponse page;
  ASSERT_THAT(Run([&](grpc::ClientContext* context) {
                return models_->ListVersions(context, request, &page);
              }),
              IsOk());
  ASSERT_EQ(page.versions_size(), 2);
  EXPECT_EQ(page.versions(0).number(), 3);
  EXPECT_THAT(page.versions(0).aliases(), ElementsAre("latest"));
  request.set_page_token(page.next_page_token());
  page.Clear();
  ASSERT_THAT(Run([&](grpc::ClientContext* context) {
                return models_->ListVersions(context, request, &page);
              }),
              IsOk());
  ASSERT_EQ(page.versions_size(), 1);
  EXPECT_EQ(page.versions(0).number(), 1);
  EXPECT_EQ(page.next_page_token(), "");
}

TEST_F(ModelServiceTest, MalformedStreamsAreRefusedAndStoreNothing) {
  const std::string file = core::ClipFile(core::SmallClip());
  EXPECT_THAT(Send({}), HasError(kInvalid, "MALFORMED_STREAM"));
  EXPECT_THAT(Send({Chunk("x")}), HasError(kInvalid, "MALFORMED_STREAM"));
  EXPECT_THAT(Send({Header("base"), Header("base")}),
              HasError(kInvalid, "MALFORMED_STREAM"));
  EXPECT_THAT(Send({Header("base"), End("")}),
              HasError(kInvalid, "MALFORMED_STREAM"));
  EXPECT_THAT(Send({Header("base"), Chunk(file)}),
              HasError(kInvalid, "MALFORMED_STREAM"));
  EXPECT_THAT(Send({Header("base"), Chunk(file), End(file), Chunk("x")}),
              HasError(kInvalid, "MALFORMED_STREAM"));
  EXPECT_THAT(
      Send({Header("base"), Chunk(std::string(kMaxChunkBytes + 1, 'x'))}),
      HasError(kInvalid, "MALFORMED_STREAM"));
  EXPECT_THAT(Send({Header("../base"), Chunk(file)}),
              HasError(kInvalid, "INVALID_NAME"));
  EXPECT_THAT(Send({Header("base"), Chunk(file), End("another")}),
              HasError(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH"));
  v1::GetModelRequest request;
  request.set_name("base");
  v1::Model model;
  EXPECT_THAT(Run([&](grpc::ClientContext* context) {
                return models_->GetModel(context, request, &model);
              }),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

TEST_F(ModelServiceTest, PickleIsRefusedPointingToTheConverter) {
  v1::Version version;
  const absl::Status status =
      Import("base", "PK\x03\x04 archive/data.pkl ..........", &version);
  EXPECT_THAT(status, HasError(kInvalid, "NOT_SAFETENSORS"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("attune-convert"));
}

TEST_F(ModelServiceTest, AliasMovesAndTheModelIsDeleted) {
  v1::Version version;
  ASSERT_THAT(Import("base", core::ClipFile(core::SmallClip()), &version),
              IsOk());
  v1::SetAliasRequest alias;
  alias.set_model("base");
  alias.set_alias("stable");
  alias.set_version(1);
  v1::Model model;
  ASSERT_THAT(Run([&](grpc::ClientContext* context) {
                return models_->SetAlias(context, alias, &model);
              }),
              IsOk());
  EXPECT_EQ(model.aliases().at("stable"), 1);

  v1::DeleteModelRequest request;
  request.set_name("base");
  request.set_request_id(NewUuid());
  v1::DeleteModelResponse response;
  for (int i = 0; i < 2; ++i) {  // the repetition has the same answer
    EXPECT_THAT(Run([&](grpc::ClientContext* context) {
                  return models_->DeleteModel(context, request, &response);
                }),
                IsOk());
  }
  request.set_request_id(NewUuid());
  EXPECT_THAT(Run([&](grpc::ClientContext* context) {
                return models_->DeleteModel(context, request, &response);
              }),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

}  // namespace
}  // namespace attune::services
