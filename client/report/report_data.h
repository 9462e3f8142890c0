#ifndef ATTUNE_CLIENT_REPORT_REPORT_DATA_H_
#define ATTUNE_CLIENT_REPORT_REPORT_DATA_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/attune_client.h"
#include "client/report/changed_pictures.h"
#include "client/report/knob_section.h"

namespace attune::client {

struct ReportOptions {
  std::string job_id;
  // The dataset whose pictures are asked about; empty: the job's eval_dataset,
  // else the one that it trained on.
  std::string dataset;
  // How many of its pictures to ask both versions about; 0: none.
  int64_t pictures = 1'000;
};

// A pair that the job trained on.
struct AttackExample {
  // Small; `clean` is empty for a pair without its clean picture.
  std::string attacked;
  std::string clean;
  std::string preferred;
  std::string rejected;
};

// All that a report shows of one training job.
struct Report {
  v1::Job job;
  std::vector<v1::MetricRow> metrics;
  std::vector<v1::JobEvent> events;
  // In the order of their numbers, and the one that they were trained from.
  std::vector<v1::Version> versions;
  v1::Version base;
  // Without one that has been deleted.
  std::optional<v1::Dataset> dataset;
  std::optional<v1::Dataset> eval_dataset;
  // The newest of each of the job's versions on each dataset, all of a dataset
  // with the same settings: those of the job's own evaluation, where it has
  // one.
  std::vector<v1::Evaluation> evaluations;
  // Of versions with a linear head that were measured at several t.
  std::vector<KnobCurve> knob_curves;
  // Absent when it was not asked for or could not be answered.
  std::optional<PictureChanges> changes;
  std::string why_no_changes;
  std::vector<AttackExample> attacks;
};

// Gets it from the server. NOT_FOUND for an unknown job; FAILED_PRECONDITION,
// reason NOT_A_TRAINING_JOB. What is gone, and answers that no worker could
// give, are left out and said so. `progress` is told the pictures asked about.
absl::StatusOr<Report> CollectReport(
    AttuneClient& client, const ReportOptions& options,
    const std::function<void(int64_t done, int64_t total)>& progress);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_REPORT_REPORT_DATA_H_
