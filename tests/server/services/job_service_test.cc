#include "server/services/job_service.h"

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/error.h"
#include "common/grpc/time_conversion.h"
#include "common/ids.h"
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

class JobServiceTest : public ServiceFixture {
 protected:
  void SetUp() override {
    ServiceFixture::SetUp();
    ImportBase();
    MakeSealed("rta", {PairExample("p1", "a dog", "a cat"),
                       PairExample("p2", "a cat", "a dog")});
    RegisterWorker();
  }

  absl::StatusOr<v1::Job> Create(const v1::CreateJobRequest& request) {
    return Call<v1::Job>([&](auto* context, auto* response) {
      return jobs_->CreateJob(context, request, response);
    });
  }

  absl::StatusOr<v1::Job> Cancel(const std::string& id) {
    v1::CancelJobRequest request;
    request.set_id(id);
    return Call<v1::Job>([&](auto* context, auto* response) {
      return jobs_->CancelJob(context, request, response);
    });
  }

  absl::StatusOr<v1::ListJobsResponse> List(
      const v1::ListJobsRequest& request) {
    return Call<v1::ListJobsResponse>([&](auto* context, auto* response) {
      return jobs_->ListJobs(context, request, response);
    });
  }

  void Report(const std::string& token, int64_t first, int64_t last) {
    v1::ReportMetricsRequest request;
    request.set_lease_token(token);
    request.set_total_steps(100);
    for (int64_t step = first; step <= last; ++step) {
      v1::MetricRow* row = request.add_rows();
      row->set_step(step);
      row->set_loss(1.0 / static_cast<double>(step));
    }
    ASSERT_THAT(
        Call<v1::ReportMetricsResponse>([&](auto* context, auto* response) {
          return workers_->ReportMetrics(context, request, response);
        }),
        IsOk());
  }

  // Waits until the server has heard of a worker that has just registered.
  void AwaitCallOf(const std::string& id) {
    while (true) {
      const auto list =
          Call<v1::ListWorkersResponse>([&](auto* context, auto* response) {
            return workers_->ListWorkers(context, v1::ListWorkersRequest(),
                                         response);
          });
      ASSERT_THAT(list, IsOk());
      for (const v1::Worker& worker : list->workers()) {
        if (worker.id() == id &&
            FromProtoTimestamp(worker.last_seen_time()) >
                FromProtoTimestamp(worker.register_time())) {
          return;
        }
      }
    }
  }

  void Fail(const std::string& token, v1::FailTaskRequest::Kind kind) {
    v1::FailTaskRequest request;
    request.set_lease_token(token);
    request.set_kind(kind);
    request.set_reason("STOPPED");
    ASSERT_THAT(Call<v1::FailTaskResponse>([&](auto* context, auto* response) {
                  return workers_->FailTask(context, request, response);
                }),
                IsOk());
  }
};

// One WatchJob call, read message by message.
class Watch {
 public:
  Watch(v1::JobService::Stub& stub, const std::string& id,
        const std::string& cursor = "") {
    v1::WatchJobRequest request;
    request.set_id(id);
    request.set_cursor(cursor);
    reader_ = stub.WatchJob(&context_, request);
  }

  // Reads until `done` says so; false when the stream ends before.
  template <typename Done>
  bool ReadUntil(Done done) {
    v1::WatchJobResponse response;
    while (reader_->Read(&response)) {
      for (const auto& row : response.metrics()) steps.push_back(row.step());
      for (const auto& event : response.events()) {
        events.push_back(event.message());
      }
      job = response.job();
      cursor = response.cursor();
      if (done()) return true;
    }
    return false;
  }

  void Cancel() { context_.TryCancel(); }
  absl::Status Finish() { return FromGrpcStatus(reader_->Finish()); }

  std::vector<int64_t> steps;
  std::vector<std::string> events;
  v1::Job job;
  std::string cursor;

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchJobResponse>> reader_;
};

TEST_F(JobServiceTest, ACreatedJobHasEveryDefault) {
  const v1::Job job = CreateDpoJob();
  EXPECT_EQ(job.state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(job.train().base(), "base:1");
  EXPECT_EQ(job.train().dpo().beta(), 1);
  EXPECT_EQ(job.train().dpo().kl_weight(), 0);
  EXPECT_EQ(job.train().optimizer().kind(), v1::Optimizer::KIND_ADAMAX);
  EXPECT_EQ(job.train().optimizer().learning_rate(), 2e-5);
  EXPECT_EQ(job.train().epochs(), 2);
  EXPECT_FALSE(job.train().has_steps());
  EXPECT_TRUE(job.train().average());
  EXPECT_EQ(job.status_message(), "position 1");
}

TEST_F(JobServiceTest, TheTrainedPartComesBackAsItWasGiven) {
  v1::CreateJobRequest request = DpoRequest();
  auto job = Create(request);
  ASSERT_THAT(job, IsOk());
  EXPECT_EQ(job->train().trained_part().kind(), v1::TrainedPart::KIND_ALL);
  v1::TrainedPart* part = request.mutable_train()->mutable_trained_part();
  for (const auto kind :
       {v1::TrainedPart::KIND_IMAGE, v1::TrainedPart::KIND_TEXT,
        v1::TrainedPart::KIND_LAST}) {
    part->set_kind(kind);
    part->set_last_blocks(kind == v1::TrainedPart::KIND_LAST ? 1 : 0);
    job = Create(request);
    ASSERT_THAT(job, IsOk());
    EXPECT_EQ(job->train().trained_part().kind(), kind);
    EXPECT_EQ(job->train().trained_part().last_blocks(), part->last_blocks());
  }
  part->set_kind(static_cast<v1::TrainedPart::Kind>(99));
  EXPECT_THAT(Create(request), HasError(kInvalid, "INVALID_FIELD"));
}

TEST_F(JobServiceTest, ThePrecisionComesBackAsItWasGiven) {
  v1::CreateJobRequest request = DpoRequest();
  EXPECT_EQ(Create(request)->train().precision(), v1::PRECISION_FP32);
  for (const auto precision :
       {v1::PRECISION_AUTO, v1::PRECISION_FP32, v1::PRECISION_BF16}) {
    request.mutable_train()->set_precision(precision);
    EXPECT_EQ(Create(request)->train().precision(), precision);
  }
  request.mutable_train()->set_precision(static_cast<v1::Precision>(99));
  EXPECT_THAT(Create(request), HasError(kInvalid, "INVALID_FIELD"));
}

TEST_F(JobServiceTest, ABadRequestNamesItsFieldOverTheWire) {
  v1::CreateJobRequest request = DpoRequest();
  request.mutable_train()->mutable_optimizer()->set_learning_rate(-1);
  const absl::Status status = Create(request).status();
  EXPECT_THAT(status, HasError(kInvalid, "INVALID_FIELD"));
  ASSERT_THAT(ErrorFields(status), SizeIs(1));
  EXPECT_EQ(ErrorFields(status)[0].field, "train.optimizer.learning_rate");

  request = DpoRequest();
  request.mutable_train()->mutable_optimizer()->set_kind(
      static_cast<v1::Optimizer::Kind>(99));
  EXPECT_THAT(Create(request), HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(Create({}), HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(List({})->jobs(), IsEmpty());
}

TEST_F(JobServiceTest, ARepeatedRequestMakesOneJob) {
  v1::CreateJobRequest request = DpoRequest();
  request.set_request_id(NewUuid());
  const auto first = Create(request);
  const auto second = Create(request);
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->id(), first->id());
  request.mutable_train()->set_seed(7);
  EXPECT_THAT(Create(request),
              HasError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
  request.set_request_id("no uuid");
  EXPECT_THAT(Create(request), HasError(kInvalid, "INVALID_REQUEST_ID"));
  EXPECT_THAT(List({})->jobs(), SizeIs(1));
}

TEST_F(JobServiceTest, ListPagesNewestFirst) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(CreateDpoJob().id());
  v1::ListJobsRequest request;
  request.set_page_size(2);
  std::vector<std::string> listed;
  do {
    const auto page = List(request);
    ASSERT_THAT(page, IsOk());
    for (const v1::Job& job : page->jobs()) listed.push_back(job.id());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(listed, ElementsAre(ids[4], ids[3], ids[2], ids[1], ids[0]));

  request.set_page_size(-1);
  EXPECT_THAT(List(request), HasError(kInvalid, "INVALID_FIELD"));
  request.set_page_size(1'000'000'000);
  EXPECT_THAT(List(request)->jobs(), SizeIs(5));
  request.set_page_token("AAAA");
  EXPECT_THAT(List(request), HasError(kInvalid, "INVALID_PAGE_TOKEN"));
  request.clear_page_token();
  request.add_states(static_cast<v1::JobState>(99));
  EXPECT_THAT(List(request), HasError(kInvalid, "INVALID_FIELD"));
}

TEST_F(JobServiceTest, AWatchShowsEveryStepAndEventOnceUntilTheEnd) {
  const v1::Job job = CreateDpoJob();
  Watch watch(*jobs_, job.id());
  ASSERT_TRUE(watch.ReadUntil([&] { return !watch.events.empty(); }));
  EXPECT_EQ(watch.job.state(), v1::JOB_STATE_QUEUED);
  const v1::Task task = Lease();
  ASSERT_TRUE(watch.ReadUntil(
      [&] { return watch.job.state() == v1::JOB_STATE_RUNNING; }));
  Report(task.lease_token(), 1, 10);
  ASSERT_TRUE(watch.ReadUntil([&] { return watch.steps.size() == 10; }));
  EXPECT_EQ(watch.job.step(), 10);
  EXPECT_EQ(watch.job.total_steps(), 100);
  Report(task.lease_token(), 11, 20);
  Fail(task.lease_token(), v1::FailTaskRequest::KIND_PERMANENT);
  EXPECT_FALSE(watch.ReadUntil([] { return false; }));
  EXPECT_THAT(watch.Finish(), IsOk());
  EXPECT_EQ(watch.job.state(), v1::JOB_STATE_FAILED);
  ASSERT_THAT(watch.steps, SizeIs(20));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(watch.steps[i], i + 1);
  EXPECT_THAT(watch.events, SizeIs(3));
}

TEST_F(JobServiceTest, AWatchGoesOnAfterItsCursor) {
  const v1::Job job = CreateDpoJob();
  const v1::Task task = Lease();
  Report(task.lease_token(), 1, 10);
  Watch first(*jobs_, job.id());
  ASSERT_TRUE(first.ReadUntil([&] { return first.steps.size() == 10; }));
  first.Cancel();
  EXPECT_EQ(first.Finish().code(), absl::StatusCode::kCancelled);
  Report(task.lease_token(), 11, 15);
  Watch second(*jobs_, job.id(), first.cursor);
  ASSERT_TRUE(second.ReadUntil([&] { return second.steps.size() == 5; }));
  EXPECT_THAT(second.steps, ElementsAre(11, 12, 13, 14, 15));
  EXPECT_THAT(second.events, IsEmpty());
}

TEST_F(JobServiceTest, AWatchOfALongHistoryIsComplete) {
  const v1::Job job = CreateDpoJob();
  const v1::Task task = Lease();
  for (int i = 0; i < 4; ++i) {
    Report(task.lease_token(), i * 900 + 1, (i + 1) * 900);
  }
  Fail(task.lease_token(), v1::FailTaskRequest::KIND_PERMANENT);
  Watch watch(*jobs_, job.id());
  EXPECT_FALSE(watch.ReadUntil([] { return false; }));
  EXPECT_THAT(watch.Finish(), IsOk());
  ASSERT_THAT(watch.steps, SizeIs(3'600));
  EXPECT_EQ(watch.steps.back(), 3'600);
}

TEST_F(JobServiceTest, BadWatchesAreRefused) {
  Watch unknown(*jobs_, "job-none");
  EXPECT_FALSE(unknown.ReadUntil([] { return true; }));
  EXPECT_THAT(unknown.Finish(),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
  const v1::Job job = CreateDpoJob();
  Watch forged(*jobs_, job.id(), "forged");
  EXPECT_FALSE(forged.ReadUntil([] { return true; }));
  EXPECT_THAT(forged.Finish(), HasError(kInvalid, "INVALID_CURSOR"));
}

TEST_F(JobServiceTest, DrainingEndsWatchesAndLongPolls) {
  const v1::Job job = CreateDpoJob();
  Watch watch(*jobs_, job.id());
  ASSERT_TRUE(watch.ReadUntil([] { return true; }));
  ASSERT_THAT(Cancel(job.id()), IsOk());
  const v1::Job waiting = CreateDpoJob();
  Watch other(*jobs_, waiting.id());
  ASSERT_TRUE(other.ReadUntil([] { return true; }));
  Lease();
  RegisterWorker("w2");
  std::thread poll([&] { EXPECT_EQ(Lease("w2", absl::Seconds(60)).id(), ""); });
  AwaitCallOf("w2");
  std::thread drain([&] { server_->Drain(); });
  EXPECT_FALSE(other.ReadUntil([] { return false; }));
  EXPECT_THAT(other.Finish(),
              HasError(absl::StatusCode::kUnavailable, "DRAINING"));
  poll.join();
  drain.join();
}

TEST_F(JobServiceTest, AFinishedJobCannotBeCancelledAndACancelledOneCan) {
  const v1::Job first = CreateDpoJob();
  EXPECT_EQ(Cancel(first.id())->state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(Cancel(first.id())->state(), v1::JOB_STATE_CANCELLED);
  const v1::Job second = CreateDpoJob();
  Fail(Lease().lease_token(), v1::FailTaskRequest::KIND_PERMANENT);
  EXPECT_THAT(Cancel(second.id()),
              HasError(absl::StatusCode::kFailedPrecondition, "JOB_ENDED"));
}

TEST_F(JobServiceTest, AJobIsPausedResumedCancelledAndRetriedOverTheWire) {
  const v1::Job job = CreateDpoJob();
  v1::PauseJobRequest pause;
  pause.set_id(job.id());
  const auto paused = Call<v1::Job>([&](auto* context, auto* response) {
    return jobs_->PauseJob(context, pause, response);
  });
  ASSERT_THAT(paused, IsOk());
  EXPECT_EQ(paused->state(), v1::JOB_STATE_PAUSED);
  v1::ResumeJobRequest resume;
  resume.set_id(job.id());
  const auto resumed = Call<v1::Job>([&](auto* context, auto* response) {
    return jobs_->ResumeJob(context, resume, response);
  });
  ASSERT_THAT(resumed, IsOk());
  EXPECT_EQ(resumed->state(), v1::JOB_STATE_QUEUED);
  v1::RetryJobRequest retry;
  retry.set_id(job.id());
  retry.set_request_id(NewUuid());
  const auto run = [&] {
    return Call<v1::Job>([&](auto* context, auto* response) {
      return jobs_->RetryJob(context, retry, response);
    });
  };
  EXPECT_THAT(run(),
              HasError(absl::StatusCode::kFailedPrecondition, "JOB_NOT_ENDED"));
  ASSERT_THAT(Cancel(job.id()), IsOk());
  const auto retried = run();
  ASSERT_THAT(retried, IsOk());
  EXPECT_EQ(retried->retry_of(), job.id());
  EXPECT_EQ(run()->id(), retried->id());
  EXPECT_THAT(List({})->jobs(), SizeIs(2));
}

TEST_F(JobServiceTest, AWatcherSeesItsJobMoveUpInTheQueue) {
  const v1::Job first = CreateDpoJob();
  const v1::Job second = CreateDpoJob();
  Watch watch(*jobs_, second.id());
  ASSERT_TRUE(watch.ReadUntil(
      [&] { return watch.job.status_message() == "position 2"; }));
  ASSERT_THAT(Cancel(first.id()), IsOk());
  EXPECT_TRUE(watch.ReadUntil(
      [&] { return watch.job.status_message() == "position 1"; }));
  watch.Cancel();
  watch.Finish().IgnoreError();
}

TEST_F(JobServiceTest, AnEmptyRequestIdMakesEveryCallItsOwn) {
  const auto first = Create(DpoRequest());
  const auto second = Create(DpoRequest());
  ASSERT_THAT(second, IsOk());
  EXPECT_NE(second->id(), first->id());
}

}  // namespace
}  // namespace attune::services
