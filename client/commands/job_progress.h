#ifndef ATTUNE_CLIENT_COMMANDS_JOB_PROGRESS_H_
#define ATTUNE_CLIENT_COMMANDS_JOB_PROGRESS_H_

#include <cstdint>
#include <deque>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "attune/v1/job_service.pb.h"
#include "client/commands/context.h"
#include "client/commands/progress.h"

namespace attune::client {

// Shows a job to a person while it runs: events and changes of state as lines,
// the training as a bar on a terminal and as about twenty lines elsewhere. Not
// thread-safe.
class JobProgress {
 public:
  explicit JobProgress(ProgressLine& line) : line_(line) {}

  void Update(const v1::WatchJobResponse& message);

 private:
  void ShowState(const v1::Job& job);
  // Takes a row of the job, which is shown where no terminal is.
  void AddRow(const v1::Job& job, const v1::MetricRow& row);
  void ShowRow(const v1::Job& job, const v1::MetricRow& row);
  // Remembers when a step was done, for the time left.
  void AddTime(const v1::MetricRow& row);
  std::string TimeLeft(int64_t total_steps) const;

  ProgressLine& line_;
  std::string state_;
  int32_t attempt_ = 0;
  // The attempt's last steps and their times, by the server's clock.
  std::deque<std::pair<int64_t, absl::Time>> times_;
  // Step from which on the next plain line is due.
  int64_t next_line_step_ = 0;
};

// "step 45/1000  loss 0.5312  margin 0.4102  1234 pairs/s", without what the
// row does not have; `total_steps` 0 for unknown.
std::string DescribeRow(const v1::MetricRow& row, int64_t total_steps,
                        bool preference_job);

// Watches a job until it ends. In JSON every message is a line; in text, the
// progress is shown on the output and the result follows. kExitJobFailed when
// the job failed or was cancelled.
absl::StatusOr<ExitCode> WatchAndReport(CommandContext& context,
                                        const std::string& id);

// What an ended job came to: its output versions, or JOB_FAILED or
// JOB_CANCELLED, printed as an error.
ExitCode ReportEnd(CommandContext& context, const v1::Job& job);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_JOB_PROGRESS_H_
