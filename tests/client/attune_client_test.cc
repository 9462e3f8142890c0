#include "client/attune_client.h"

#include <filesystem>
#include <fstream>
#include <set>

#include "client/examples_file.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "common/grpc/delimited.h"
#include "common/ids.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_server/fake_server.h"
#include "tests/test_util/temp_dir.h"

namespace attune::client {
namespace {

using ::testing::ElementsAre;

ClientOptions OptionsFor(const std::string& address) {
  ClientOptions options;
  options.server = address;
  options.retry.sleep = [](absl::Duration) {};
  return options;
}

class AttuneClientTest : public ::testing::Test {
 protected:
  void FailNext(std::initializer_list<absl::Status> failures) {
    absl::MutexLock lock(&fake_.mutex);
    fake_.failures = failures;
  }
  int Calls() {
    absl::MutexLock lock(&fake_.mutex);
    return fake_.call_count;
  }
  std::string WriteFile(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_.File(name), std::ios::binary) << bytes;
    return folder_.File(name);
  }

  FakeServer fake_;
  AttuneClient client_{OptionsFor(fake_.address())};
  test::TempDir folder_;
};

v1::GetDatasetRequest Get(const std::string& name) {
  v1::GetDatasetRequest request;
  request.set_name(name);
  return request;
}

v1::CreateDatasetRequest Create(const std::string& name) {
  v1::CreateDatasetRequest request;
  request.set_name(name);
  return request;
}

// `count` clean examples whose pictures have `bytes` bytes each.
ExampleSource Pictures(int64_t count, size_t bytes) {
  return {.count = count, .read = [=](int64_t index) {
            v1::Example example;
            example.set_image(
                std::string(bytes, static_cast<char>('a' + index % 26)));
            example.mutable_clean();
            return absl::StatusOr<v1::Example>(example);
          }};
}

TEST_F(AttuneClientTest, AMutationKeepsItsRequestIdOverItsTries) {
  FailNext({absl::UnavailableError("x"), absl::OkStatus()});
  ASSERT_TRUE(client_.CreateDataset(Create("a")).ok());
  ASSERT_TRUE(client_.CreateDataset(Create("b")).ok());
  EXPECT_EQ(Calls(), 3);
  absl::MutexLock lock(&fake_.mutex);
  ASSERT_EQ(fake_.request_ids.size(), 2u);
  EXPECT_TRUE(IsUuid(fake_.request_ids[0]));
  EXPECT_NE(fake_.request_ids[0], fake_.request_ids[1]);
}

TEST_F(AttuneClientTest, ARequestIdOfTheCallerIsKept) {
  v1::CreateDatasetRequest request = Create("a");
  request.set_request_id("3d6f0a52-8f7e-4f6e-9a5e-0d1c2b3a4f5e");
  ASSERT_TRUE(client_.CreateDataset(request).ok());
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_THAT(fake_.request_ids, ElementsAre(request.request_id()));
}

TEST_F(AttuneClientTest, ErrorsKeepReasonAndFieldsAndAreNotTriedAgain) {
  const absl::Status refused =
      InvalidFields("INVALID_NAME", {{"name", "is not a name"}});
  FailNext({refused});
  EXPECT_EQ(client_.CreateDataset(Create("A")).status(), refused);
  EXPECT_EQ(Calls(), 1);
}

TEST_F(AttuneClientTest, AServerThatIsDrainingIsNotUnreachable) {
  const absl::Status draining =
      Error(absl::StatusCode::kUnavailable, "DRAINING", "the server stops");
  FailNext({draining, draining, draining, draining, draining});
  EXPECT_EQ(client_.GetDataset(Get("a")).status(), draining);
  EXPECT_EQ(Calls(), 5);
}

TEST(AttuneClient, NobodyAtTheAddressReturnsServerUnreachable) {
  std::string address;
  { address = FakeServer().address(); }
  AttuneClient client(OptionsFor(address));
  const absl::Status status = client.GetDataset(Get("a")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorReason(status), "SERVER_UNREACHABLE");
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(address));
}

TEST_F(AttuneClientTest, AnUploadArrivesInFullChunks) {
  const auto response = client_.UploadExamples("rta", Pictures(300, 10'000));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->added_count(), 300);
  absl::MutexLock lock(&fake_.mutex);
  ASSERT_EQ(fake_.chunk_sizes.size(), 3u);
  EXPECT_EQ(fake_.chunk_sizes[0], size_t{kMaxChunkBytes});
  EXPECT_EQ(fake_.chunk_sizes[1], size_t{kMaxChunkBytes});
  EXPECT_LT(fake_.chunk_sizes[2], size_t{kMaxChunkBytes});
  EXPECT_EQ(fake_.examples[27].image(), std::string(10'000, 'b'));
}

TEST_F(AttuneClientTest, AnExampleLargerThanAChunkIsSplit) {
  const auto response = client_.UploadExamples("rta", Pictures(1, 3 << 20));
  ASSERT_TRUE(response.ok()) << response.status();
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_EQ(fake_.chunk_sizes.size(), 4u);
  EXPECT_EQ(fake_.examples.at(0).image().size(), size_t{3} << 20);
}

TEST_F(AttuneClientTest, AnUploadThatBreaksStartsAgainUnderItsRequestId) {
  FailNext({absl::UnavailableError("cut"), absl::OkStatus()});
  std::vector<int64_t> reads;
  ExampleSource source = Pictures(3, 10);
  source.read = [&, read = source.read](int64_t index) {
    reads.push_back(index);
    return read(index);
  };
  const auto response = client_.UploadExamples("rta", source);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->added_count(), 3);
  EXPECT_EQ(reads.back(), 2);
  EXPECT_EQ(Calls(), 2);
}

TEST_F(AttuneClientTest, AnUploadThatBreaksGoesOnWhereTheServerSays) {
  const ExampleSource source = Pictures(300, 10'000);
  std::string bytes;
  for (int64_t i = 0; i < source.count; ++i) {
    AppendDelimited(*source.read(i), &bytes);
  }
  FailNext({absl::UnavailableError("cut"), absl::OkStatus()});
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.kept = bytes;
    fake_.upload.emplace().set_offset(2'000'000);
  }
  const auto response = client_.UploadExamples("rta", source);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->added_count(), 300);
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_THAT(fake_.offsets, ElementsAre(2'000'000));
  ASSERT_EQ(fake_.chunk_sizes.size(), 1u);
  EXPECT_EQ(fake_.chunk_sizes[0], bytes.size() - 2'000'000);
}

TEST_F(AttuneClientTest, AnUploadWhoseAnswerWasLostIsNotSentAgain) {
  FailNext({absl::UnavailableError("cut")});
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.upload.emplace().set_committed(true);
    fake_.upload->set_added_count(3);
    fake_.datasets["rta"].set_name("rta");
  }
  const auto response = client_.UploadExamples("rta", Pictures(3, 10));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->added_count(), 3);
  EXPECT_EQ(response->dataset().name(), "rta");
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_TRUE(fake_.chunk_sizes.empty());
}

TEST_F(AttuneClientTest, AnImportThatBreaksGoesOnWhereTheServerSays) {
  std::string bytes(2'500'000, 'm');
  bytes[1'234'567] = 'x';
  FailNext({absl::UnavailableError("cut"), absl::OkStatus()});
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.kept = bytes;
    fake_.import.emplace().set_offset(1'500'001);
  }
  ASSERT_TRUE(client_.ImportModel("base", WriteFile("in", bytes)).ok());
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_THAT(fake_.offsets, ElementsAre(1'500'001));
  EXPECT_TRUE(fake_.model_file == bytes);
  EXPECT_EQ(fake_.chunk_sizes[0], 2'500'000u - 1'500'001u);
}

TEST_F(AttuneClientTest, AnErrorOfTheSourceEndsTheUpload) {
  const absl::Status gone =
      Error(absl::StatusCode::kNotFound, "FILE_NOT_FOUND", "gone");
  ExampleSource source = Pictures(3, 10);
  source.read = [&](int64_t) -> absl::StatusOr<v1::Example> { return gone; };
  EXPECT_EQ(client_.UploadExamples("rta", source).status(), gone);
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_TRUE(fake_.examples.empty());
}

TEST_F(AttuneClientTest, ADownloadGivesWhatWasUploaded) {
  ASSERT_TRUE(client_.UploadExamples("rta", Pictures(5, 5'000)).ok());
  std::vector<std::string> images;
  const absl::Status status =
      client_.DownloadExamples("rta", [&](const v1::Example& example) {
        images.push_back(example.image().substr(0, 1));
        return absl::OkStatus();
      });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(images, ElementsAre("a", "b", "c", "d", "e"));
}

TEST_F(AttuneClientTest, ADownloadWithAnotherDigestReturnsDataLoss) {
  ASSERT_TRUE(client_.UploadExamples("rta", Pictures(1, 10)).ok());
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.corrupt_downloads = true;
  }
  const absl::Status status = client_.DownloadExamples(
      "rta", [](const v1::Example&) { return absl::OkStatus(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ErrorReason(status), "DIGEST_MISMATCH");
}

TEST_F(AttuneClientTest, AModelGoesToTheServerAndBack) {
  std::string bytes(2'500'000, 'm');
  bytes[1'234'567] = 'x';
  int64_t shown = 0;
  ASSERT_TRUE(client_
                  .ImportModel("base", WriteFile("in", bytes),
                               [&](int64_t done, int64_t) { shown = done; })
                  .ok());
  EXPECT_GE(shown, 2 * kMaxChunkBytes);
  {
    absl::MutexLock lock(&fake_.mutex);
    EXPECT_EQ(fake_.chunk_sizes.size(), 3u);
    EXPECT_TRUE(fake_.model_file == bytes);
  }
  const auto written = client_.ExportVersion("base", folder_.File("out"));
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(*written, static_cast<int64_t>(bytes.size()));
  EXPECT_TRUE(*ReadFile(folder_.File("out")) == bytes);
}

TEST_F(AttuneClientTest, ACorruptExportLeavesTheOldFile) {
  const std::string path = WriteFile("out", "old");
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.model_file = "new";
    fake_.corrupt_downloads = true;
  }
  const absl::Status status = client_.ExportVersion("base", path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(*ReadFile(path), "old");
}

TEST_F(AttuneClientTest, AMissingModelFileSendsNothing) {
  const absl::Status status =
      client_.ImportModel("base", folder_.File("none")).status();
  EXPECT_EQ(ErrorReason(status), "FILE_NOT_FOUND");
  EXPECT_EQ(Calls(), 0);
}

v1::WatchJobResponse Message(const std::string& cursor, v1::JobState state) {
  v1::WatchJobResponse message;
  message.set_cursor(cursor);
  message.mutable_job()->set_id("job-1");
  message.mutable_job()->set_state(state);
  return message;
}

TEST_F(AttuneClientTest, AWatchGoesOnAtItsCursorAfterAnInterruption) {
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.watches = {
        {{Message("1", v1::JOB_STATE_QUEUED),
          Message("2", v1::JOB_STATE_RUNNING)},
         absl::UnavailableError("cut")},
        {{}, absl::UnavailableError("still down")},
        {{Message("3", v1::JOB_STATE_RUNNING)}, absl::OkStatus()},
        {{Message("4", v1::JOB_STATE_SUCCEEDED)}, absl::OkStatus()}};
  }
  std::vector<std::string> seen;
  const auto job =
      client_.WatchJob("job-1", [&](const v1::WatchJobResponse& message) {
        seen.push_back(message.cursor());
        return absl::OkStatus();
      });
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_THAT(seen, ElementsAre("1", "2", "3", "4"));
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_THAT(fake_.watch_cursors, ElementsAre("", "2", "2", "3"));
}

TEST_F(AttuneClientTest, AWatchOfAnUnknownJobReturnsNotFound) {
  FailNext({NotFound("job", "job-9")});
  const auto job = client_.WatchJob(
      "job-9", [](const v1::WatchJobResponse&) { return absl::OkStatus(); });
  EXPECT_EQ(job.status(), NotFound("job", "job-9"));
}

TEST_F(AttuneClientTest, AVisitorsErrorEndsTheWatch) {
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.watches = {{{Message("1", v1::JOB_STATE_RUNNING)}, absl::OkStatus()}};
  }
  const auto job = client_.WatchJob("job-1", [](const v1::WatchJobResponse&) {
    return absl::CancelledError("enough");
  });
  EXPECT_EQ(job.status(), absl::CancelledError("enough"));
}

TEST_F(AttuneClientTest, AWatchThatEndsBeforeTheJobIsAnError) {
  const auto job = client_.WatchJob(
      "job-1", [](const v1::WatchJobResponse&) { return absl::OkStatus(); });
  EXPECT_EQ(job.status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ErrorReason(job.status()), "WATCH_ENDED");
}

TEST_F(AttuneClientTest, EveryPageIsVisited) {
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(client_.CreateDataset(Create(name)).ok());
  }
  std::vector<std::string> names;
  const absl::Status status = ForEachPage(
      v1::ListDatasetsRequest(),
      [&](const auto& request) { return client_.ListDatasets(request); },
      [&](const v1::ListDatasetsResponse& page) {
        for (const auto& dataset : page.datasets()) {
          names.push_back(dataset.name());
        }
      });
  EXPECT_TRUE(status.ok());
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace attune::client
