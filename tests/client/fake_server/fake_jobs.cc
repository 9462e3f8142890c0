#include <grpcpp/grpcpp.h>
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "attune/v1/job_service.grpc.pb.h"
#include "common/grpc/status_conversion.h"
#include "tests/client/fake_server/fake_server.h"
#include "tests/client/fake_server/fake_services.h"

namespace attune::client {
namespace {

using grpc::ServerContext;
using grpc::Status;

class FakeJobs : public v1::JobService::Service {
 public:
  explicit FakeJobs(FakeServer& fake) : fake_(fake) {}

  Status CreateJob(ServerContext*, const v1::CreateJobRequest* request,
                   v1::Job* response) override {
    FAKE_BEGIN(fake_);
    fake_.created_jobs.push_back(*request);
    *response = fake_.job;
    if (!fake_.job_ids.empty()) {
      response->set_id(fake_.job_ids.front());
      fake_.job_ids.pop_front();
    }
    return Status::OK;
  }

  Status GetJob(ServerContext*, const v1::GetJobRequest* request,
                v1::Job* response) override {
    FAKE_BEGIN(fake_);
    const auto other = fake_.other_jobs.find(request->id());
    *response = other == fake_.other_jobs.end() ? fake_.job : other->second;
    return Status::OK;
  }

  Status ListJobs(ServerContext*, const v1::ListJobsRequest*,
                  v1::ListJobsResponse* response) override {
    FAKE_BEGIN(fake_);
    *response->add_jobs() = fake_.job;
    return Status::OK;
  }

  Status CancelJob(ServerContext*, const v1::CancelJobRequest* request,
                   v1::Job* response) override {
    FAKE_BEGIN(fake_);
    fake_.cancelled_ids.push_back(request->id());
    fake_.job.set_state(v1::JOB_STATE_CANCELLED);
    *response = fake_.job;
    return Status::OK;
  }

  Status PauseJob(ServerContext*, const v1::PauseJobRequest*,
                  v1::Job* response) override {
    FAKE_BEGIN(fake_);
    fake_.job.set_state(v1::JOB_STATE_PAUSED);
    *response = fake_.job;
    return Status::OK;
  }

  Status ResumeJob(ServerContext*, const v1::ResumeJobRequest*,
                   v1::Job* response) override {
    FAKE_BEGIN(fake_);
    fake_.job.set_state(v1::JOB_STATE_QUEUED);
    *response = fake_.job;
    return Status::OK;
  }

  Status RetryJob(ServerContext*, const v1::RetryJobRequest* request,
                  v1::Job* response) override {
    FAKE_BEGIN(fake_);
    *response = fake_.job;
    response->set_id("job-2");
    response->set_retry_of(request->id());
    return Status::OK;
  }

  Status ListEvents(ServerContext*, const v1::ListEventsRequest* request,
                    v1::ListEventsResponse* response) override {
    FAKE_BEGIN(fake_);
    // One event a page.
    const auto at = static_cast<size_t>(request->page_token().size());
    if (at < fake_.events.size()) *response->add_events() = fake_.events[at];
    if (at + 1 < fake_.events.size()) {
      response->set_next_page_token(request->page_token() + "x");
    }
    return Status::OK;
  }

  Status ListCheckpoints(ServerContext*, const v1::ListCheckpointsRequest*,
                         v1::ListCheckpointsResponse* response) override {
    FAKE_BEGIN(fake_);
    response->mutable_checkpoints()->Add(fake_.checkpoints.begin(),
                                         fake_.checkpoints.end());
    return Status::OK;
  }

  Status WatchJob(ServerContext*, const v1::WatchJobRequest* request,
                  grpc::ServerWriter<v1::WatchJobResponse>* writer) override {
    FAKE_BEGIN(fake_);
    fake_.watch_cursors.push_back(request->cursor());
    if (fake_.watches.empty()) return Status::OK;
    const FakeServer::Watch watch = std::move(fake_.watches.front());
    fake_.watches.pop_front();
    for (const v1::WatchJobResponse& message : watch.messages) {
      writer->Write(message);
    }
    return ToGrpcStatus(watch.end);
  }

  // Two rows a page.
  Status ListMetrics(ServerContext*, const v1::ListMetricsRequest* request,
                     v1::ListMetricsResponse* response) override {
    FAKE_BEGIN(fake_);
    size_t at = 0;
    if (!absl::SimpleAtoi(request->page_token(), &at)) at = 0;
    for (int i = 0; i < 2 && at < fake_.metrics.size(); ++i) {
      *response->add_rows() = fake_.metrics[at++];
    }
    if (at < fake_.metrics.size()) {
      response->set_next_page_token(absl::StrCat(at));
    }
    return Status::OK;
  }

  Status GetEvaluation(ServerContext*, const v1::GetEvaluationRequest* request,
                       v1::Evaluation* response) override {
    FAKE_BEGIN(fake_);
    const auto found = fake_.evaluations.find(request->job_id());
    *response =
        found == fake_.evaluations.end() ? fake_.evaluation : found->second;
    return Status::OK;
  }

  Status ListEvaluations(ServerContext*,
                         const v1::ListEvaluationsRequest* request,
                         v1::ListEvaluationsResponse* response) override {
    FAKE_BEGIN(fake_);
    for (const auto& [job, evaluation] : fake_.evaluations) {
      if (evaluation.model() == request->model()) {
        *response->add_evaluations() = evaluation;
      }
    }
    if (fake_.evaluations.empty()) {
      *response->add_evaluations() = fake_.evaluation;
    }
    for (v1::Evaluation& evaluation : *response->mutable_evaluations()) {
      evaluation.clear_part_figures();
    }
    return Status::OK;
  }

 private:
  FakeServer& fake_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeFakeJobs(FakeServer& fake) {
  return std::make_unique<FakeJobs>(fake);
}

}  // namespace attune::client
