// Uploads and imports that are cut, and go on where the server says.

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "client/attune_client.h"
#include "common/digest.h"
#include "common/grpc/channel.h"
#include "common/ids.h"
#include "gmock/gmock.h"
#include "tests/server/core/models/clip_file.h"
#include "tests/server/services/service_fixture.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/tcp_proxy.h"

namespace attune::services {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;

// Share of an upload after which it is cut.
class ResumeTest : public ServiceFixture,
                   public testing::WithParamInterface<int> {
 protected:
  absl::StatusOr<v1::Upload> GetUpload(const std::string& id) {
    v1::GetUploadRequest request;
    request.set_dataset("d");
    request.set_request_id(id);
    return Call<v1::Upload>([&](auto* context, auto* response) {
      return datasets_->GetUpload(context, request, response);
    });
  }
  absl::StatusOr<v1::Import> GetImport(const std::string& id) {
    v1::GetImportRequest request;
    request.set_model("base");
    request.set_request_id(id);
    return Call<v1::Import>([&](auto* context, auto* response) {
      return models_->GetImport(context, request, response);
    });
  }
  v1::Dataset GetDataset() {
    v1::GetDatasetRequest request;
    request.set_name("d");
    return *Call<v1::Dataset>([&](auto* context, auto* response) {
      return datasets_->GetDataset(context, request, response);
    });
  }

  // Sends the first `count` messages and cancels.
  void SendAndCut(const std::vector<v1::UploadExamplesRequest>& messages,
                  size_t count) {
    grpc::ClientContext context;
    v1::UploadExamplesResponse response;
    auto writer = datasets_->UploadExamples(&context, &response);
    for (size_t i = 0; i < count; ++i) ASSERT_TRUE(writer->Write(messages[i]));
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }

  // The stream of `messages` from `offset` on.
  static std::vector<v1::UploadExamplesRequest> Rest(
      const std::vector<v1::UploadExamplesRequest>& messages, int64_t offset) {
    std::string bytes;
    for (const auto& message : messages) bytes += message.chunk();
    std::vector<v1::UploadExamplesRequest> rest = {messages.front()};
    rest[0].mutable_header()->set_offset(offset);
    for (auto at = static_cast<size_t>(offset); at < bytes.size();
         at += kChunk) {
      rest.emplace_back().set_chunk(bytes.substr(at, kChunk));
    }
    rest.push_back(messages.back());
    return rest;
  }

  static std::vector<v1::Example> Examples(int64_t count, int64_t bytes) {
    std::vector<v1::Example> examples;
    for (int64_t i = 0; i < count; ++i) {
      examples.push_back(CleanExample(absl::StrCat(
          i, std::string(bytes, static_cast<char>('a' + i % 26)))));
    }
    return examples;
  }

  // More than what gRPC keeps on its way: what is not read by then is lost.
  static constexpr int64_t kCount = 400;
  static constexpr int64_t kBytes = 100'000;
  static constexpr size_t kChunk = 500'000;

  const std::string id_ = NewUuid();
};

INSTANTIATE_TEST_SUITE_P(Percent, ResumeTest, testing::Values(25, 50, 99),
                         [](const auto& info) {
                           return absl::StrCat("CutAt", info.param);
                         });

TEST_P(ResumeTest, ACutUploadGoesOnAtItsOffset) {
  ASSERT_THAT(CreateDataset("d"), IsOk());
  auto messages = UploadStream("d", Examples(kCount, kBytes), kChunk);
  messages[0].mutable_header()->set_request_id(id_);
  const size_t cut = messages.size() * GetParam() / 100;
  SendAndCut(messages, cut);
  EXPECT_EQ(GetDataset().example_count(), 0);
  const auto sent = static_cast<int64_t>((cut - 1) * kChunk);
  // The server stores what it has once it sees the cut.
  absl::StatusOr<v1::Upload> upload;
  for (int i = 0; i < 600; ++i) {
    upload = GetUpload(id_);
    ASSERT_THAT(upload, IsOk());
    if (upload->offset() > 0) break;
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_FALSE(upload->committed());
  EXPECT_GT(upload->offset(), 0);
  EXPECT_LE(upload->offset(), sent);
  const auto response = Upload(Rest(messages, upload->offset()));
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->added_count(), kCount);
  EXPECT_EQ(GetDataset().example_count(), kCount);
  EXPECT_TRUE(GetUpload(id_)->committed());
  EXPECT_EQ(GetUpload(id_)->added_count(), kCount);
  // The whole stream once more is the same request.
  EXPECT_THAT(Upload(messages), IsOk());
  EXPECT_EQ(GetDataset().example_count(), kCount);
}

TEST_P(ResumeTest, TheClientGoesOnThroughACutConnection) {
  test::TcpProxy proxy(server_->address());
  client::AttuneClient client({.server = proxy.address()});
  v1::CreateDatasetRequest create;
  create.set_name("d");
  ASSERT_THAT(client.CreateDataset(create), IsOk());
  bool cut = false;
  client::ExampleSource source = {
      .count = kCount,
      .read = [&](int64_t index) -> absl::StatusOr<v1::Example> {
        if (index == kCount * GetParam() / 100 && !cut) {
          proxy.CutAll();
          cut = true;
        }
        return CleanExample(absl::StrCat(index, std::string(kBytes, 'x')));
      }};
  const auto response = client.UploadExamples("d", source);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->added_count(), kCount);
  EXPECT_EQ(GetDataset().example_count(), kCount);
  // At most the batch that was not stored yet is sent again.
  if (GetParam() == 99) {
    EXPECT_LT(proxy.bytes_to_server(), kCount * kBytes + (int64_t{24} << 20));
  }
}

TEST_P(ResumeTest, ACutImportGoesOnAtItsOffset) {
  // Larger than what gRPC keeps on its way.
  ClipConfig config = core::SmallClip();
  config.vision_width = 256;
  config.vision_layers = 12;
  config.vision_heads = 4;
  const std::string file = core::ClipFile(config);
  const size_t cut = file.size() * GetParam() / 100;
  {
    grpc::ClientContext context;
    v1::Version version;
    auto writer = models_->ImportModel(&context, &version);
    v1::ImportModelRequest request;
    request.mutable_header()->set_model("base");
    request.mutable_header()->set_request_id(id_);
    ASSERT_TRUE(writer->Write(request));
    for (size_t at = 0; at < cut; at += kChunk) {
      request.set_chunk(file.substr(at, std::min(kChunk, cut - at)));
      ASSERT_TRUE(writer->Write(request));
    }
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  absl::StatusOr<v1::Import> import;
  for (int i = 0; i < 600; ++i) {
    import = GetImport(id_);
    ASSERT_THAT(import, IsOk());
    if (import->offset() > 0) break;
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_FALSE(import->committed());
  EXPECT_GT(import->offset(), 0);
  EXPECT_LE(import->offset(), static_cast<int64_t>(cut));
  const auto version = Call<v1::Version>([&](auto* context, auto* response) {
    auto writer = models_->ImportModel(context, response);
    v1::ImportModelRequest request;
    request.mutable_header()->set_model("base");
    request.mutable_header()->set_request_id(id_);
    request.mutable_header()->set_offset(import->offset());
    writer->Write(request);
    for (auto at = static_cast<size_t>(import->offset()); at < file.size();
         at += kChunk) {
      request.set_chunk(file.substr(at, kChunk));
      writer->Write(request);
    }
    request.mutable_end()->set_size_bytes(static_cast<int64_t>(file.size()));
    request.mutable_end()->set_sha256(Sha256Hex(file));
    writer->WriteLast(request, grpc::WriteOptions());
    return writer->Finish();
  });
  ASSERT_THAT(version, IsOk());
  EXPECT_EQ(GetImport(id_)->version(), "base:1");
  // The same file in one piece gives the same digest.
  client::AttuneClient client({.server = server_->address()});
  const std::string path = dir_.File("whole.safetensors");
  std::ofstream(path, std::ios::binary) << file;
  const auto whole = client.ImportModel("whole", path);
  ASSERT_THAT(whole, IsOk());
  EXPECT_EQ(whole->digest(), version->digest());
}

using ResumeOnceTest = ResumeTest;

INSTANTIATE_TEST_SUITE_P(Once, ResumeOnceTest, testing::Values(50));

TEST_P(ResumeOnceTest, ACutUploadOutlivesTheServer) {
  ASSERT_THAT(CreateDataset("d"), IsOk());
  auto messages = UploadStream("d", Examples(kCount, kBytes), kChunk);
  messages[0].mutable_header()->set_request_id(id_);
  SendAndCut(messages, messages.size() / 2);
  RestartServer();
  const auto upload = GetUpload(id_);
  ASSERT_THAT(upload, IsOk());
  EXPECT_GT(upload->offset(), 0);
  const auto response = Upload(Rest(messages, upload->offset()));
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->added_count(), kCount);
}

TEST_P(ResumeOnceTest, BytesThatChangedAfterTheCutAreDataLoss) {
  ASSERT_THAT(CreateDataset("d"), IsOk());
  auto messages = UploadStream("d", Examples(kCount, kBytes), kChunk);
  messages[0].mutable_header()->set_request_id(id_);
  SendAndCut(messages, messages.size() / 2);
  RestartServer();
  const int64_t offset = GetUpload(id_)->offset();
  auto rest = Rest(messages, offset);
  rest.back().mutable_end()->set_sha256(Sha256Hex("another stream"));
  EXPECT_THAT(Upload(rest),
              HasError(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH"));
  EXPECT_EQ(GetDataset().example_count(), 0);
  // The parts before may be what is wrong: the upload begins again.
  EXPECT_EQ(GetUpload(id_)->offset(), 0);
}

TEST_P(ResumeOnceTest, ARefusedUploadKeepsNothing) {
  ASSERT_THAT(CreateDataset("d"), IsOk());
  auto messages = UploadStream(
      "d", {CleanExample("a"), PairExample("b", "a dog", "a dog")});
  messages[0].mutable_header()->set_request_id(id_);
  EXPECT_THAT(Upload(messages),
              HasError(absl::StatusCode::kInvalidArgument, "INVALID_EXAMPLES"));
  EXPECT_EQ(GetUpload(id_)->offset(), 0);
}

TEST_P(ResumeOnceTest, ALookAtAnotherCallsIdIsRefused) {
  ASSERT_THAT(CreateDataset("d"), IsOk());
  auto messages = UploadStream("d", {CleanExample("a")});
  messages[0].mutable_header()->set_request_id(id_);
  ASSERT_THAT(Upload(messages), IsOk());
  EXPECT_EQ(GetUpload(id_)->added_count(), 1);
  EXPECT_THAT(GetImport(id_),
              HasError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
}

TEST_P(ResumeOnceTest, ALookNeedsADatasetAndAnId) {
  EXPECT_THAT(GetUpload(id_),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
  ASSERT_THAT(CreateDataset("d"), IsOk());
  EXPECT_EQ(GetUpload(id_)->offset(), 0);
  EXPECT_THAT(GetUpload(""),
              HasError(absl::StatusCode::kInvalidArgument, "INVALID_FIELD"));
  EXPECT_THAT(GetUpload("7"), HasError(absl::StatusCode::kInvalidArgument,
                                       "INVALID_REQUEST_ID"));
}

}  // namespace
}  // namespace attune::services
