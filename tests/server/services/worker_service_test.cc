#include "server/services/worker_service.h"

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "common/grpc/time_conversion.h"
#include "gmock/gmock.h"
#include "tests/server/services/service_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::services {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class WorkerServiceTest : public ServiceFixture {
 protected:
  void SetUp() override {
    ServiceFixture::SetUp();
    ImportBase();
    MakeSealed("rta", {PairExample("p1", "a dog", "a cat"),
                       PairExample("p2", "a cat", "a dog")});
    RegisterWorker();
  }

  absl::StatusOr<v1::PutBlobsResponse> Put(
      const std::vector<v1::PutBlobsRequest>& messages) {
    grpc::ClientContext context;
    v1::PutBlobsResponse response;
    auto writer = workers_->PutBlobs(&context, &response);
    for (const v1::PutBlobsRequest& message : messages) {
      if (!writer->Write(message)) break;
    }
    writer->WritesDone();
    absl::Status status = FromGrpcStatus(writer->Finish());
    if (!status.ok()) return status;
    return response;
  }

  // The messages that store `blobs`.
  static std::vector<v1::PutBlobsRequest> PutStream(
      const std::string& token, const std::vector<std::string>& blobs) {
    std::vector<v1::PutBlobsRequest> messages;
    for (const std::string& blob : blobs) {
      size_t at = 0;
      do {
        v1::PutBlobsRequest& message = messages.emplace_back();
        if (at == 0) {
          message.set_digest(Sha256Hex(blob));
          message.set_size_bytes(static_cast<int64_t>(blob.size()));
        }
        message.set_chunk(blob.substr(at, kMaxChunkBytes));
        at += message.chunk().size();
      } while (at < blob.size());
    }
    if (!messages.empty()) messages[0].set_lease_token(token);
    return messages;
  }

  absl::StatusOr<std::vector<std::string>> Get(
      const std::vector<std::string>& digests) {
    v1::GetBlobsRequest request;
    for (const std::string& digest : digests) request.add_digests(digest);
    grpc::ClientContext context;
    auto reader = workers_->GetBlobs(&context, request);
    std::vector<std::string> blobs;
    v1::GetBlobsResponse response;
    bool last = true;
    while (reader->Read(&response)) {
      EXPECT_LE(response.chunk().size(), static_cast<size_t>(kMaxChunkBytes));
      if (last) blobs.emplace_back();
      EXPECT_EQ(response.index() + 1, static_cast<int>(blobs.size()));
      blobs.back() += response.chunk();
      last = response.last();
    }
    absl::Status status = FromGrpcStatus(reader->Finish());
    if (!status.ok()) return status;
    return blobs;
  }

  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const std::string& worker,
                                                  const std::string& token) {
    v1::HeartbeatRequest request;
    request.set_worker_id(worker);
    request.set_lease_token(token);
    return Call<v1::HeartbeatResponse>([&](auto* context, auto* response) {
      return workers_->Heartbeat(context, request, response);
    });
  }

  v1::Job Job(const std::string& id) {
    v1::GetJobRequest request;
    request.set_id(id);
    return *Call<v1::Job>([&](auto* context, auto* response) {
      return jobs_->GetJob(context, request, response);
    });
  }
};

TEST_F(WorkerServiceTest, RegisterTellsTheTimes) {
  v1::RegisterRequest request;
  request.set_worker_id("w9");
  request.add_roles(v1::WORKER_ROLE_SERVE);
  request.mutable_device()->set_kind("cuda");
  const auto response =
      Call<v1::RegisterResponse>([&](auto* context, auto* response) {
        return workers_->Register(context, request, response);
      });
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->heartbeat_interval().seconds(), 5);
  EXPECT_EQ(response->lease_duration().seconds(), 30);
  request.add_roles(static_cast<v1::WorkerRole>(9));
  EXPECT_THAT(Call<v1::RegisterResponse>([&](auto* context, auto* response) {
                return workers_->Register(context, request, response);
              }),
              HasError(kInvalid, "INVALID_FIELD"));
  const auto list = Call<v1::ListWorkersResponse>([&](auto* context,
                                                      auto* response) {
    return workers_->ListWorkers(context, v1::ListWorkersRequest(), response);
  });
  EXPECT_THAT(list->workers(), SizeIs(3));
}

TEST_F(WorkerServiceTest, ATrainingGoesFromLeaseToVersions) {
  const v1::Job job = CreateDpoJob();
  const v1::Task task = Lease();
  EXPECT_EQ(task.id(), job.id());
  EXPECT_EQ(task.attempt(), 1);
  EXPECT_EQ(task.train().spec().epochs(), 2);
  EXPECT_EQ(task.train().dataset().pair_count(), 2);
  EXPECT_EQ(task.train().base().version(), "base:1");
  EXPECT_EQ(task.train().config_digest(), job.config_digest());
  EXPECT_FALSE(task.train().has_checkpoint());
  EXPECT_EQ(Heartbeat("w1", task.lease_token())->wish(),
            v1::HeartbeatResponse::WISH_CONTINUE);

  // One tensor is trained, the others stay the base's.
  const v1::TensorManifest& base = task.train().base().manifest();
  v1::TensorManifest trained = base;
  const std::string bytes(trained.tensors(0).size_bytes(), '\x01');
  trained.mutable_tensors(0)->set_blob_digest(Sha256Hex(bytes));
  v1::CompleteTaskRequest complete;
  complete.set_lease_token(task.lease_token());
  for (const auto source :
       {v1::Version::SOURCE_AVERAGE, v1::Version::SOURCE_LAST_ITERATE}) {
    v1::TrainResult::Output* output = complete.mutable_train()->add_outputs();
    output->set_source(source);
    *output->mutable_manifest() = trained;
  }
  v1::CompleteTaskResponse response;
  EXPECT_THAT(Complete(complete, &response),
              HasError(absl::StatusCode::kFailedPrecondition, "BLOB_MISSING"));
  ASSERT_THAT(Put(PutStream(task.lease_token(), {bytes})), IsOk());
  ASSERT_THAT(Complete(complete, &response), IsOk());
  EXPECT_THAT(response.versions(), ElementsAre("robust:1", "robust:2"));
  EXPECT_EQ(Job(job.id()).state(), v1::JOB_STATE_SUCCEEDED);
  v1::GetVersionRequest get;
  get.set_version("robust");
  const auto version = Call<v1::Version>([&](auto* context, auto* response) {
    return models_->GetVersion(context, get, response);
  });
  ASSERT_THAT(version, IsOk());
  EXPECT_EQ(version->number(), 1);
  EXPECT_EQ(version->base(), "base:1");
  EXPECT_EQ(version->own_size_bytes(), static_cast<int64_t>(bytes.size()));
}

TEST_F(WorkerServiceTest, EmbeddingsOfTheBaseGoFromOneJobToTheNext) {
  CreateDpoJob();
  v1::Task task = Lease();
  EXPECT_THAT(task.train().embeddings(), IsEmpty());
  v1::CompleteTaskRequest complete;
  complete.set_lease_token(task.lease_token());
  for (const auto source :
       {v1::Version::SOURCE_AVERAGE, v1::Version::SOURCE_LAST_ITERATE}) {
    v1::TrainResult::Output* output = complete.mutable_train()->add_outputs();
    output->set_source(source);
    *output->mutable_manifest() = task.train().base().manifest();
  }
  v1::StoredEmbeddings* embeddings =
      complete.mutable_train()->mutable_embeddings();
  embeddings->set_variant("fp32");
  const std::string bytes(8, '\x02');
  v1::TensorEntry* entry = embeddings->mutable_manifest()->add_tensors();
  entry->set_name("embeddings");
  entry->set_data_type(v1::DATA_TYPE_FLOAT32);
  entry->add_shape(1);
  entry->add_shape(2);
  entry->set_blob_digest(Sha256Hex(bytes));
  entry->set_size_bytes(8);
  v1::CompleteTaskResponse response;
  EXPECT_THAT(Complete(complete, &response),
              HasError(absl::StatusCode::kFailedPrecondition, "BLOB_MISSING"));
  ASSERT_THAT(Put(PutStream(task.lease_token(), {bytes})), IsOk());
  embeddings->set_variant("");
  EXPECT_THAT(Complete(complete, &response),
              HasError(kInvalid, "INVALID_RESULT"));
  embeddings->set_variant("fp32");
  ASSERT_THAT(Complete(complete, &response), IsOk());

  CreateDpoJob();
  task = Lease();
  ASSERT_THAT(task.train().embeddings(), SizeIs(1));
  EXPECT_EQ(task.train().embeddings(0).SerializeAsString(),
            embeddings->SerializeAsString());
}

TEST_F(WorkerServiceTest, ALongPollEndsWithoutATaskOrWithTheNextOne) {
  EXPECT_EQ(Lease("w1", absl::ZeroDuration()).id(), "");
  std::string leased;
  std::thread poll([&] { leased = Lease("w1", absl::Seconds(60)).id(); });
  const v1::Job job = CreateDpoJob();
  poll.join();
  EXPECT_EQ(leased, job.id());
}

TEST_F(WorkerServiceTest, BadWaitsAndStrangersAreRefused) {
  v1::LeaseTaskRequest request;
  request.set_worker_id("w1");
  const auto lease = [&] {
    return Call<v1::LeaseTaskResponse>([&](auto* context, auto* response) {
      return workers_->LeaseTask(context, request, response);
    });
  };
  for (const int64_t seconds : {-1, 61}) {
    request.mutable_wait()->set_seconds(seconds);
    EXPECT_THAT(lease(), HasError(kInvalid, "INVALID_FIELD"));
  }
  request.mutable_wait()->set_seconds(0);
  request.set_worker_id("stranger");
  EXPECT_THAT(lease(), HasError(absl::StatusCode::kNotFound, "WORKER_UNKNOWN"));
  EXPECT_THAT(Heartbeat("stranger", ""),
              HasError(absl::StatusCode::kNotFound, "WORKER_UNKNOWN"));
}

TEST_F(WorkerServiceTest, AClientThatLeavesItsLongPollTakesNoTask) {
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    v1::LeaseTaskRequest request;
    request.set_worker_id("w1");
    request.mutable_wait()->set_seconds(60);
    v1::LeaseTaskResponse response;
    std::thread cancel([&] { context.TryCancel(); });
    EXPECT_EQ(workers_->LeaseTask(&context, request, &response).error_code(),
              grpc::StatusCode::CANCELLED);
    cancel.join();
  }
  const v1::Job job = CreateDpoJob();
  RegisterWorker("w2");
  EXPECT_EQ(Lease("w2").id(), job.id());
  EXPECT_EQ(Job(job.id()).failure_count(), 0);
}

TEST_F(WorkerServiceTest, AStaleTokenIsAbortedEverywhere) {
  const v1::Job job = CreateDpoJob();
  const std::string token = Lease().lease_token();
  v1::FailTaskRequest fail;
  fail.set_lease_token(token);
  fail.set_kind(v1::FailTaskRequest::KIND_HAND_BACK);
  const auto fail_task = [&] {
    return Call<v1::FailTaskResponse>([&](auto* context, auto* response) {
      return workers_->FailTask(context, fail, response);
    });
  };
  ASSERT_THAT(fail_task(), IsOk());
  const auto lost = HasError(absl::StatusCode::kAborted, "LEASE_LOST");
  EXPECT_THAT(fail_task(), lost);
  EXPECT_THAT(Heartbeat("w1", token), lost);
  EXPECT_THAT(Put(PutStream(token, {"blob"})), lost);
  v1::ReportMetricsRequest report;
  report.set_lease_token(token);
  report.add_rows()->set_step(1);
  EXPECT_THAT(
      Call<v1::ReportMetricsResponse>([&](auto* context, auto* response) {
        return workers_->ReportMetrics(context, report, response);
      }),
      lost);
  v1::CommitCheckpointRequest commit;
  commit.set_lease_token(token);
  EXPECT_THAT(
      Call<v1::CommitCheckpointResponse>([&](auto* context, auto* response) {
        return workers_->CommitCheckpoint(context, commit, response);
      }),
      lost);
  EXPECT_EQ(Job(job.id()).state(), v1::JOB_STATE_QUEUED);
}

TEST_F(WorkerServiceTest, BlobsComeBackAsTheyWereStored) {
  CreateDpoJob();
  const std::string token = Lease().lease_token();
  const std::vector<std::string> blobs = {"small", std::string(3 << 20, 'a'),
                                          "", std::string(kMaxChunkBytes, 'b'),
                                          std::string(kMaxChunkBytes + 1, 'c')};
  std::vector<std::string> digests;
  for (const std::string& blob : blobs) digests.push_back(Sha256Hex(blob));

  v1::FindMissingBlobsRequest find;
  for (const std::string& digest : digests) find.add_digests(digest);
  const auto missing = [&] {
    return Call<v1::FindMissingBlobsResponse>(
               [&](auto* context, auto* response) {
                 return workers_->FindMissingBlobs(context, find, response);
               })
        ->digests_size();
  };
  EXPECT_EQ(missing(), 5);
  const auto stored = Put(PutStream(token, blobs));
  ASSERT_THAT(stored, IsOk());
  EXPECT_EQ(stored->stored_count(), 5);
  EXPECT_EQ(missing(), 0);
  const auto read = Get(digests);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(*read, blobs);
  EXPECT_THAT(*Get({}), IsEmpty());
}

TEST_F(WorkerServiceTest, BadBlobStreamsAreRefused) {
  CreateDpoJob();
  const std::string token = Lease().lease_token();
  const auto with = [&](auto change) {
    auto messages = PutStream(token, {"first", "second"});
    change(messages);
    return Put(messages);
  };
  using Messages = std::vector<v1::PutBlobsRequest>;
  EXPECT_THAT(Put({}), HasError(kInvalid, "MALFORMED_STREAM"));
  EXPECT_THAT(with([](Messages& m) { m[1].set_digest("no digest"); }),
              HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(with([](Messages& m) { m[1].clear_digest(); }),
              HasError(kInvalid, "MALFORMED_STREAM"));
  EXPECT_THAT(with([](Messages& m) { m[1].set_size_bytes(100); }),
              HasError(kInvalid, "MALFORMED_STREAM"));
  EXPECT_THAT(with([](Messages& m) { m[1].set_size_bytes(2); }),
              HasError(kInvalid, "MALFORMED_STREAM"));
  EXPECT_THAT(with([](Messages& m) {
                m[1].set_chunk(std::string(kMaxChunkBytes + 1, 'x'));
              }),
              HasError(kInvalid, "MALFORMED_STREAM"));
  EXPECT_THAT(with([](Messages& m) { m[1].set_chunk("SECOND"); }),
              HasError(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH"));
  const std::string large(2 << 20, 'l');
  auto messages = PutStream(token, {large});
  messages[0].set_digest(Sha256Hex("other"));
  EXPECT_THAT(Put(messages),
              HasError(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH"));
  EXPECT_EQ(Get({Sha256Hex("first")}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_THAT(Get({"no digest"}), HasError(kInvalid, "INVALID_FIELD"));
}

TEST_F(WorkerServiceTest, FailTaskNeedsAKindAndCompleteTaskAResult) {
  CreateDpoJob();
  const std::string token = Lease().lease_token();
  v1::FailTaskRequest fail;
  fail.set_lease_token(token);
  EXPECT_THAT(Call<v1::FailTaskResponse>([&](auto* context, auto* response) {
                return workers_->FailTask(context, fail, response);
              }),
              HasError(kInvalid, "INVALID_FIELD"));
  v1::CompleteTaskRequest complete;
  complete.set_lease_token(token);
  v1::CompleteTaskResponse response;
  EXPECT_THAT(Complete(complete, &response),
              HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(Heartbeat("w1", token), IsOk());
}

}  // namespace
}  // namespace attune::services
