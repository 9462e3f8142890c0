#include "client/report/report_data.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/grpc/time_conversion.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

// On each side of the pictures that changed.
constexpr size_t kShownChanges = 12;
constexpr int64_t kShownAttacks = 6;
// Of a large dataset only the beginning is downloaded for them.
constexpr int64_t kAttacksAmong = 1'000;
constexpr int kThumbnailSide = 160;  // pixels

// What the server has; nothing when it was deleted.
template <typename T>
absl::StatusOr<std::optional<T>> IfFound(absl::StatusOr<T> result) {
  if (absl::IsNotFound(result.status())) return std::nullopt;
  ATTUNE_RETURN_IF_ERROR(result.status());
  return std::optional<T>(*std::move(result));
}

absl::StatusOr<std::optional<v1::Dataset>> GetDataset(AttuneClient& client,
                                                      const std::string& name) {
  if (name.empty()) return std::nullopt;
  v1::GetDatasetRequest request;
  request.set_name(name);
  return IfFound(client.GetDataset(request));
}

absl::Status GetMetrics(AttuneClient& client, Report* report) {
  v1::ListMetricsRequest request;
  request.set_job_id(report->job.id());
  request.set_page_size(10'000);
  return ForEachPage(
      request, [&](const auto& page) { return client.ListMetrics(page); },
      [&](const v1::ListMetricsResponse& page) {
        report->metrics.insert(report->metrics.end(), page.rows().begin(),
                               page.rows().end());
      });
}

absl::Status GetEvents(AttuneClient& client, Report* report) {
  v1::ListEventsRequest request;
  request.set_job_id(report->job.id());
  return ForEachPage(
      request, [&](const auto& page) { return client.ListEvents(page); },
      [&](const v1::ListEventsResponse& page) {
        report->events.insert(report->events.end(), page.events().begin(),
                              page.events().end());
      });
}

absl::Status GetVersions(AttuneClient& client, Report* report) {
  const auto get = [&](const std::string& name) {
    v1::GetVersionRequest request;
    request.set_version(name);
    return IfFound(client.GetVersion(request));
  };
  for (const std::string& name : report->job.output_versions()) {
    ATTUNE_ASSIGN_OR_RETURN(std::optional<v1::Version> version, get(name));
    if (version) report->versions.push_back(*std::move(version));
  }
  ATTUNE_ASSIGN_OR_RETURN(std::optional<v1::Version> base,
                          get(report->job.train().base()));
  if (base) report->base = *std::move(base);
  return absl::OkStatus();
}

// What evaluations that stand beside each other must have in common.
struct EvaluationSettings {
  std::string dataset_digest;
  std::string against;
  std::vector<std::string> templates;
  bool truncate = false;

  friend bool operator==(const EvaluationSettings&,
                         const EvaluationSettings&) = default;
};

// Asks for the job of each evaluation once.
class SettingsReader {
 public:
  SettingsReader(AttuneClient& client, const v1::Job& job) : client_(client) {
    jobs_[job.id()] = job;
  }

  absl::StatusOr<EvaluationSettings> Read(const v1::Evaluation& evaluation) {
    ATTUNE_ASSIGN_OR_RETURN(const std::optional<v1::Job> job,
                            FindJob(evaluation));
    EvaluationSettings settings = {
        .dataset_digest = evaluation.dataset_digest(),
        .against = evaluation.against(),
        .templates = {},
        .truncate = false};
    if (job && job->has_train()) {
      settings.truncate = job->train().truncate();
    } else if (job) {
      settings.templates.assign(job->evaluate().templates().begin(),
                                job->evaluate().templates().end());
      settings.truncate = job->evaluate().truncate();
    }
    return settings;
  }

  // Of the job that measured it; empty when the job is gone.
  absl::StatusOr<v1::EvaluateSpec> ReadSpec(const v1::Evaluation& evaluation) {
    ATTUNE_ASSIGN_OR_RETURN(const std::optional<v1::Job> job,
                            FindJob(evaluation));
    return job ? job->evaluate() : v1::EvaluateSpec();
  }

 private:
  absl::StatusOr<std::optional<v1::Job>> FindJob(
      const v1::Evaluation& evaluation) {
    const auto [place, added] = jobs_.try_emplace(evaluation.job_id());
    if (added) {
      v1::GetJobRequest request;
      request.set_id(evaluation.job_id());
      ATTUNE_ASSIGN_OR_RETURN(place->second, IfFound(client_.GetJob(request)));
    }
    return place->second;
  }

  AttuneClient& client_;
  std::map<std::string, std::optional<v1::Job>> jobs_;
};

// Of each version of the job, the newest first; those of training jobs are
// among them.
absl::StatusOr<std::vector<v1::Evaluation>> ListEvaluations(
    AttuneClient& client, const v1::Job& job) {
  std::vector<v1::Evaluation> all;
  for (const std::string& version : job.output_versions()) {
    v1::ListEvaluationsRequest request;
    request.set_model(version);
    const absl::Status status = ForEachPage(
        request, [&](const auto& page) { return client.ListEvaluations(page); },
        [&](const v1::ListEvaluationsResponse& page) {
          all.insert(all.end(), page.evaluations().begin(),
                     page.evaluations().end());
        });
    if (!absl::IsNotFound(status)) ATTUNE_RETURN_IF_ERROR(status);
  }
  return all;
}

// The one of each dataset whose settings are shown: the job's own, which is as
// its guard has measured, else the newest.
std::map<std::string, const v1::Evaluation*> Leading(
    const std::vector<v1::Evaluation>& all, const v1::Job& job) {
  std::map<std::string, const v1::Evaluation*> leading;
  for (const v1::Evaluation& evaluation : all) {
    const v1::Evaluation*& best = leading[evaluation.dataset()];
    const auto rank = [&job](const v1::Evaluation& one) {
      return std::pair(one.job_id() == job.id(),
                       FromProtoTimestamp(one.create_time()));
    };
    if (best == nullptr || rank(*best) < rank(evaluation)) best = &evaluation;
  }
  return leading;
}

absl::Status GetEvaluations(AttuneClient& client, Report* report) {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<v1::Evaluation> all,
                          ListEvaluations(client, report->job));
  SettingsReader settings(client, report->job);
  std::vector<KnobEvaluation> at_knobs;
  for (const v1::Evaluation& evaluation : all) {
    if (!evaluation.has_t()) continue;
    ATTUNE_ASSIGN_OR_RETURN(v1::EvaluateSpec spec,
                            settings.ReadSpec(evaluation));
    at_knobs.push_back({.evaluation = evaluation, .spec = std::move(spec)});
  }
  report->knob_curves = KnobCurves(at_knobs);
  // Beside each other stand what was trained, not points of a knob's curve.
  std::erase_if(all,
                [](const auto& one) { return one.has_t() && one.t() != 1; });
  std::map<std::string, EvaluationSettings> shown;
  for (const auto& [dataset, evaluation] : Leading(all, report->job)) {
    ATTUNE_ASSIGN_OR_RETURN(shown[dataset], settings.Read(*evaluation));
  }
  std::vector<v1::Evaluation>& known = report->evaluations;
  for (const v1::Evaluation& evaluation : all) {
    const bool newer =
        std::any_of(known.begin(), known.end(), [&](const auto& other) {
          return other.model() == evaluation.model() &&
                 other.dataset() == evaluation.dataset();
        });
    if (newer) continue;
    ATTUNE_ASSIGN_OR_RETURN(const EvaluationSettings own,
                            settings.Read(evaluation));
    if (own == shown[evaluation.dataset()]) known.push_back(evaluation);
  }
  return absl::OkStatus();
}

// Pairs of the first part of the training data, evenly over it.
absl::Status GetAttacks(AttuneClient& client, Report* report) {
  if (!report->dataset || report->dataset->pair_count() == 0) {
    return absl::OkStatus();
  }
  return SampleExamples(
      client, *report->dataset, kShownAttacks, kAttacksAmong,
      [&](SampledExample sampled) -> absl::Status {
        if (!sampled.example.has_pair()) return absl::OkStatus();
        const std::string& clean = sampled.example.pair().clean_image();
        report->attacks.push_back(
            {.attacked = MakeThumbnail(sampled.example.image(), kThumbnailSide),
             .clean = clean.empty() ? "" : MakeThumbnail(clean, kThumbnailSide),
             .preferred = std::move(sampled.truth),
             .rejected = std::move(sampled.written)});
        return absl::OkStatus();
      });
}

absl::Status GetChanges(AttuneClient& client, const ReportOptions& options,
                        const std::function<void(int64_t, int64_t)>& progress,
                        Report* report) {
  std::optional<v1::Dataset> dataset =
      report->eval_dataset ? report->eval_dataset : report->dataset;
  if (!options.dataset.empty()) {
    v1::GetDatasetRequest request;
    request.set_name(options.dataset);
    ATTUNE_ASSIGN_OR_RETURN(dataset, client.GetDataset(request));
  }
  std::string& why = report->why_no_changes;
  if (options.pictures == 0) {
    why = "not asked for (--pictures 0)";
  } else if (report->versions.empty()) {
    why = "the job has made no version";
  } else if (!dataset || dataset->candidates().empty() ||
             dataset->pair_count() + dataset->labelled_count() == 0) {
    why =
        "there is no dataset of pairs or labelled pictures to ask about; "
        "name one with --dataset";
  }
  if (!why.empty()) return absl::OkStatus();
  const v1::Version& version = report->versions.front();
  absl::StatusOr<PictureChanges> changes =
      FindChangedPictures(client, *dataset, report->job.train().base(),
                          absl::StrCat(version.model(), ":", version.number()),
                          options.pictures, kShownChanges, progress);
  // A page without these pictures is better than none.
  if (changes.ok()) {
    report->changes = *std::move(changes);
  } else {
    why = std::string(changes.status().message());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Report> CollectReport(
    AttuneClient& client, const ReportOptions& options,
    const std::function<void(int64_t done, int64_t total)>& progress) {
  Report report;
  v1::GetJobRequest get;
  get.set_id(options.job_id);
  ATTUNE_ASSIGN_OR_RETURN(report.job, client.GetJob(get));
  if (!report.job.has_train()) {
    return Error(absl::StatusCode::kFailedPrecondition, "NOT_A_TRAINING_JOB",
                 absl::StrCat(options.job_id,
                              " does not train: a report is of a training job, "
                              "and has the evaluations of its versions"));
  }
  ATTUNE_RETURN_IF_ERROR(GetMetrics(client, &report));
  ATTUNE_RETURN_IF_ERROR(GetEvents(client, &report));
  ATTUNE_RETURN_IF_ERROR(GetVersions(client, &report));
  ATTUNE_ASSIGN_OR_RETURN(report.dataset,
                          GetDataset(client, report.job.train().dataset()));
  ATTUNE_ASSIGN_OR_RETURN(
      report.eval_dataset,
      GetDataset(client, report.job.train().eval_dataset()));
  ATTUNE_RETURN_IF_ERROR(GetEvaluations(client, &report));
  ATTUNE_RETURN_IF_ERROR(GetAttacks(client, &report));
  ATTUNE_RETURN_IF_ERROR(GetChanges(client, options, progress, &report));
  return report;
}

}  // namespace attune::client
