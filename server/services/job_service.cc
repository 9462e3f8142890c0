#include "server/services/job_service.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "server/services/job_codec.h"
#include "server/services/page.h"
#include "server/services/page_token.h"
#include "server/services/request_key.h"
#include "server/services/unary_call.h"

namespace attune::services {
namespace {

constexpr absl::string_view kService = "JobService";
constexpr int kDefaultPage = 100;
constexpr int kMaxPage = 1'000;
// Of rows and events.
constexpr int kDefaultRows = 1'000;
constexpr int kMaxRows = 10'000;

absl::StatusOr<storage::Job> Create(core::JobManager& jobs,
                                    const v1::CreateJobRequest& request) {
  const core::RequestKey key = MakeRequestKey(request, request.request_id());
  switch (request.spec_case()) {
    case v1::CreateJobRequest::kTrain: {
      ATTUNE_ASSIGN_OR_RETURN(const core::TrainRequest train,
                              FromProto(request.train()));
      return jobs.CreateTrain(train, key);
    }
    case v1::CreateJobRequest::kEvaluate:
      return jobs.CreateEvaluate(FromProto(request.evaluate()), key);
    case v1::CreateJobRequest::SPEC_NOT_SET:
      break;
  }
  return InvalidField("spec", "must be one of train and evaluate");
}

// A call that names a job and gives it as it is then.
template <typename Request>
grpc::ServerUnaryReactor* RunMove(
    const CallEnvironment& environment, absl::string_view method,
    grpc::CallbackServerContext* context, const Request* request,
    v1::Job* response, core::JobManager& jobs,
    absl::StatusOr<storage::Job> (core::JobManager::*move)(
        absl::string_view id, const core::RequestKey& key)) {
  return RunUnary<Request, v1::Job>(
      environment, {kService, method}, context, request, response,
      [&jobs, move](const Request& request, v1::Job* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            const storage::Job job,
            (jobs.*move)(request.id(),
                         MakeRequestKey(request, request.request_id())));
        *response = ToProto(job);
        return absl::OkStatus();
      });
}

}  // namespace

grpc::ServerUnaryReactor* JobService::CreateJob(
    grpc::CallbackServerContext* context, const v1::CreateJobRequest* request,
    v1::Job* response) {
  return RunUnary<v1::CreateJobRequest, v1::Job>(
      environment_, {kService, "CreateJob"}, context, request, response,
      [this](const v1::CreateJobRequest& request,
             v1::Job* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const storage::Job job, Create(jobs_, request));
        *response = ToProto(job);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* JobService::GetJob(
    grpc::CallbackServerContext* context, const v1::GetJobRequest* request,
    v1::Job* response) {
  return RunUnary<v1::GetJobRequest, v1::Job>(
      environment_, {kService, "GetJob"}, context, request, response,
      [this](const v1::GetJobRequest& request,
             v1::Job* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const storage::Job job,
                                jobs_.Get(request.id()));
        *response = ToProto(job);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* JobService::ListJobs(
    grpc::CallbackServerContext* context, const v1::ListJobsRequest* request,
    v1::ListJobsResponse* response) {
  return RunUnary<v1::ListJobsRequest, v1::ListJobsResponse>(
      environment_, {kService, "ListJobs"}, context, request, response,
      [this](const v1::ListJobsRequest& request,
             v1::ListJobsResponse* response) -> absl::Status {
        const std::string list =
            absl::StrCat("ListJobs/", absl::StrJoin(request.states(), ","));
        ATTUNE_ASSIGN_OR_RETURN(
            const int size,
            PageSize(request.page_size(), kDefaultPage, kMaxPage));
        ATTUNE_ASSIGN_OR_RETURN(
            const int64_t before,
            DecodeNumericPageToken(list, request.page_token()));
        ATTUNE_ASSIGN_OR_RETURN(const std::vector<storage::JobState> states,
                                FromProto(request.states()));
        ATTUNE_ASSIGN_OR_RETURN(const std::vector<storage::Job> jobs,
                                jobs_.List(before, size + 1, states));
        const size_t taken = FillPage(jobs, size, [&](const storage::Job& job) {
          v1::Job* proto = response->add_jobs();
          *proto = ToProto(job);
          return proto;
        });
        if (taken < jobs.size()) {
          response->set_next_page_token(
              EncodePageToken(list, jobs[taken - 1].sequence));
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* JobService::CancelJob(
    grpc::CallbackServerContext* context, const v1::CancelJobRequest* request,
    v1::Job* response) {
  return RunMove(environment_, "CancelJob", context, request, response, jobs_,
                 &core::JobManager::Cancel);
}

grpc::ServerUnaryReactor* JobService::PauseJob(
    grpc::CallbackServerContext* context, const v1::PauseJobRequest* request,
    v1::Job* response) {
  return RunMove(environment_, "PauseJob", context, request, response, jobs_,
                 &core::JobManager::Pause);
}

grpc::ServerUnaryReactor* JobService::ResumeJob(
    grpc::CallbackServerContext* context, const v1::ResumeJobRequest* request,
    v1::Job* response) {
  return RunMove(environment_, "ResumeJob", context, request, response, jobs_,
                 &core::JobManager::Resume);
}

grpc::ServerUnaryReactor* JobService::RetryJob(
    grpc::CallbackServerContext* context, const v1::RetryJobRequest* request,
    v1::Job* response) {
  return RunMove(environment_, "RetryJob", context, request, response, jobs_,
                 &core::JobManager::Retry);
}

grpc::ServerWriteReactor<v1::WatchJobResponse>* JobService::WatchJob(
    grpc::CallbackServerContext* context, const v1::WatchJobRequest* request) {
  return watches_.Begin(context, request);
}

grpc::ServerUnaryReactor* JobService::ListMetrics(
    grpc::CallbackServerContext* context, const v1::ListMetricsRequest* request,
    v1::ListMetricsResponse* response) {
  return RunUnary<v1::ListMetricsRequest, v1::ListMetricsResponse>(
      environment_, {kService, "ListMetrics"}, context, request, response,
      [this](const v1::ListMetricsRequest& request,
             v1::ListMetricsResponse* response) -> absl::Status {
        const std::string list = absl::StrCat("ListMetrics/", request.job_id());
        ATTUNE_ASSIGN_OR_RETURN(
            const int size,
            PageSize(request.page_size(), kDefaultRows, kMaxRows));
        ATTUNE_ASSIGN_OR_RETURN(
            const int64_t after,
            DecodeNumericPageToken(list, request.page_token()));
        ATTUNE_ASSIGN_OR_RETURN(
            const std::vector<storage::MetricRow> rows,
            jobs_.ListMetrics(request.job_id(), after, size + 1));
        const size_t taken =
            FillPage(rows, size, [&](const storage::MetricRow& row) {
              v1::MetricRow* proto = response->add_rows();
              *proto = ToProto(row);
              return proto;
            });
        if (taken < rows.size()) {
          response->set_next_page_token(
              EncodePageToken(list, rows[taken - 1].step));
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* JobService::ListEvents(
    grpc::CallbackServerContext* context, const v1::ListEventsRequest* request,
    v1::ListEventsResponse* response) {
  return RunUnary<v1::ListEventsRequest, v1::ListEventsResponse>(
      environment_, {kService, "ListEvents"}, context, request, response,
      [this](const v1::ListEventsRequest& request,
             v1::ListEventsResponse* response) -> absl::Status {
        const std::string list = absl::StrCat("ListEvents/", request.job_id());
        ATTUNE_ASSIGN_OR_RETURN(
            const int size,
            PageSize(request.page_size(), kDefaultRows, kMaxRows));
        ATTUNE_ASSIGN_OR_RETURN(
            const int64_t after,
            DecodeNumericPageToken(list, request.page_token()));
        ATTUNE_ASSIGN_OR_RETURN(
            const std::vector<storage::JobEvent> events,
            jobs_.ListEvents(request.job_id(), after, size + 1));
        const size_t taken =
            FillPage(events, size, [&](const storage::JobEvent& event) {
              v1::JobEvent* proto = response->add_events();
              *proto = ToProto(event);
              return proto;
            });
        if (taken < events.size()) {
          response->set_next_page_token(
              EncodePageToken(list, events[taken - 1].number));
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* JobService::ListCheckpoints(
    grpc::CallbackServerContext* context,
    const v1::ListCheckpointsRequest* request,
    v1::ListCheckpointsResponse* response) {
  return RunUnary<v1::ListCheckpointsRequest, v1::ListCheckpointsResponse>(
      environment_, {kService, "ListCheckpoints"}, context, request, response,
      [this](const v1::ListCheckpointsRequest& request,
             v1::ListCheckpointsResponse* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            const std::vector<storage::Checkpoint> checkpoints,
            jobs_.ListCheckpoints(request.job_id()));
        for (const storage::Checkpoint& checkpoint : checkpoints) {
          *response->add_checkpoints() = ToProto(checkpoint);
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* JobService::GetEvaluation(
    grpc::CallbackServerContext* context,
    const v1::GetEvaluationRequest* request, v1::Evaluation* response) {
  return RunUnary<v1::GetEvaluationRequest, v1::Evaluation>(
      environment_, {kService, "GetEvaluation"}, context, request, response,
      [this](const v1::GetEvaluationRequest& request,
             v1::Evaluation* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            const storage::Evaluation evaluation,
            jobs_.GetEvaluation(request.job_id(), request.model()));
        *response = ToProto(evaluation);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* JobService::ListEvaluations(
    grpc::CallbackServerContext* context,
    const v1::ListEvaluationsRequest* request,
    v1::ListEvaluationsResponse* response) {
  return RunUnary<v1::ListEvaluationsRequest, v1::ListEvaluationsResponse>(
      environment_, {kService, "ListEvaluations"}, context, request, response,
      [this](const v1::ListEvaluationsRequest& request,
             v1::ListEvaluationsResponse* response) -> absl::Status {
        const std::string list = absl::StrCat(
            "ListEvaluations/", request.model(), "/", request.job_id());
        ATTUNE_ASSIGN_OR_RETURN(
            const int size,
            PageSize(request.page_size(), kDefaultPage, kMaxPage));
        ATTUNE_ASSIGN_OR_RETURN(
            const int64_t before,
            DecodeNumericPageToken(list, request.page_token()));
        ATTUNE_ASSIGN_OR_RETURN(
            const std::vector<storage::Evaluation> evaluations,
            jobs_.ListEvaluations(
                {.model = request.model(), .job_id = request.job_id()}, before,
                size + 1));
        const size_t taken = FillPage(
            evaluations, size, [&](const storage::Evaluation& evaluation) {
              v1::Evaluation* proto = response->add_evaluations();
              *proto = ToSummaryProto(evaluation);
              return proto;
            });
        if (taken < evaluations.size()) {
          response->set_next_page_token(
              EncodePageToken(list, evaluations[taken - 1].id));
        }
        return absl::OkStatus();
      });
}

}  // namespace attune::services
