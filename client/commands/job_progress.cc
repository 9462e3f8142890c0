#include "client/commands/job_progress.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/commands/cli.h"
#include "client/commands/table.h"
#include "common/error.h"
#include "common/grpc/objective_codec.h"
#include "common/grpc/time_conversion.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

// Lines of a whole run where no terminal is.
constexpr int64_t kPlainLines = 20;
// Steps over which the speed is taken.
constexpr size_t kSpeedWindow = 64;

}  // namespace

std::string DescribeRow(const v1::MetricRow& row, int64_t total_steps,
                        bool preference_job) {
  std::string text = absl::StrCat("step ", row.step());
  if (total_steps > 0) absl::StrAppend(&text, "/", total_steps);
  // Fixed digits, so that the columns stay where they are.
  if (row.has_loss()) absl::StrAppendFormat(&text, "  loss %.4f", row.loss());
  if (row.has_margin()) {
    // Not "-0.0000" for the rounding errors of the first step.
    const double margin = std::abs(row.margin()) < 5e-5 ? 0 : row.margin();
    absl::StrAppendFormat(&text, "  margin %.4f", margin);
  }
  if (row.has_pair_accuracy()) {
    absl::StrAppendFormat(&text, "  accuracy %.3f", row.pair_accuracy());
  }
  if (row.has_examples_per_second()) {
    absl::StrAppendFormat(&text, "  %.0f %s", row.examples_per_second(),
                          preference_job ? "pairs/s" : "images/s");
  }
  return text;
}

void JobProgress::AddTime(const v1::MetricRow& row) {
  const absl::Time time = FromProtoTimestamp(row.time());
  // Another attempt goes on from a checkpoint, after a pause.
  if (row.attempt() != attempt_) times_.clear();
  attempt_ = row.attempt();
  times_.emplace_back(row.step(), time);
  if (times_.size() > kSpeedWindow) times_.pop_front();
}

std::string JobProgress::TimeLeft(int64_t total_steps) const {
  if (times_.size() < 2) return "";
  const auto& [first_step, first_time] = times_.front();
  const auto& [last_step, last_time] = times_.back();
  if (last_step >= total_steps) return "";
  const absl::Duration step =
      (last_time - first_time) / (last_step - first_step);
  const absl::Duration left =
      absl::Ceil((total_steps - last_step) * step, absl::Seconds(1));
  return absl::StrCat("  ", absl::FormatDuration(left), " left");
}

void JobProgress::ShowState(const v1::Job& job) {
  std::string state =
      absl::StrCat(job.id(), " ",
                   WithoutPrefix("JOB_STATE_", v1::JobState_Name(job.state())));
  // How an ended job ended is told by ReportEnd.
  if (!job.status_message().empty() && !IsFinal(job.state())) {
    absl::StrAppend(&state, ": ", job.status_message());
  }
  if (state == state_) return;
  state_ = state;
  line_.Print(state_);
}

void JobProgress::ShowRow(const v1::Job& job, const v1::MetricRow& row) {
  const int64_t total = job.total_steps();
  const ObjectiveSchema* objective = ObjectiveOf(job.train());
  const bool pairs = objective == nullptr ||
                     objective->stream == ObjectiveSchema::Stream::kPairs;
  const std::string text =
      absl::StrCat(DescribeRow(row, total, pairs), TimeLeft(total));
  if (line_.terminal()) {
    line_.Show(
        total > 0 ? static_cast<double>(row.step()) / static_cast<double>(total)
                  : -1,
        text);
    return;
  }
  if (row.step() < next_line_step_ && row.step() != total) return;
  line_.Print(text);
  next_line_step_ =
      row.step() +
      std::max<int64_t>(1, (total + kPlainLines - 1) / kPlainLines);
}

void JobProgress::AddRow(const v1::Job& job, const v1::MetricRow& row) {
  if (row.attempt() != attempt_) next_line_step_ = 0;
  AddTime(row);
  if (!line_.terminal()) ShowRow(job, row);
}

void JobProgress::Update(const v1::WatchJobResponse& message) {
  const v1::Job& job = message.job();
  ShowState(job);
  // In the order of their times: what a guard says of a step follows it.
  auto row = message.metrics().begin();
  for (const v1::JobEvent& event : message.events()) {
    const absl::Time time = FromProtoTimestamp(event.time());
    for (; row != message.metrics().end() &&
           FromProtoTimestamp(row->time()) <= time;
         ++row) {
      AddRow(job, *row);
    }
    line_.Print(absl::StrCat("  ", event.message()));
  }
  for (; row != message.metrics().end(); ++row) AddRow(job, *row);
  if (!line_.terminal()) return;
  if (!message.metrics().empty()) {
    ShowRow(job, *message.metrics().rbegin());
  } else if (times_.empty() && job.total_steps() > 0) {
    line_.Show(static_cast<double>(job.step()) /
                   static_cast<double>(job.total_steps()),
               absl::StrCat("step ", job.step(), "/", job.total_steps()));
  }
}

ExitCode ReportEnd(CommandContext& context, const v1::Job& job) {
  if (job.state() == v1::JOB_STATE_SUCCEEDED) {
    if (!context.json() && !job.output_versions().empty()) {
      context.out() << job.id() << " made "
                    << absl::StrJoin(job.output_versions(), ", ") << '\n';
      if (!job.status_message().empty()) {
        context.out() << job.status_message() << '\n';
      }
    }
    return kExitDone;
  }
  const bool cancelled = job.state() == v1::JOB_STATE_CANCELLED;
  std::string message =
      absl::StrCat(job.id(), cancelled ? " was cancelled" : " failed");
  if (!cancelled && !job.status_message().empty()) {
    absl::StrAppend(&message, ": ", job.status_message());
  }
  PrintError(Error(absl::StatusCode::kAborted,
                   cancelled ? "JOB_CANCELLED" : "JOB_FAILED", message),
             context.console().err);
  return kExitJobFailed;
}

absl::StatusOr<ExitCode> WatchAndReport(CommandContext& context,
                                        const std::string& id) {
  v1::Job job;
  if (context.json()) {
    ATTUNE_ASSIGN_OR_RETURN(
        job,
        context.client().WatchJob(id, [&](const v1::WatchJobResponse& message) {
          context.PrintJson(message);
          return absl::OkStatus();
        }));
  } else {
    ProgressLine line(context.out(), context.console().out_is_terminal,
                      context.console().width);
    JobProgress progress(line);
    ATTUNE_ASSIGN_OR_RETURN(
        job,
        context.client().WatchJob(id, [&](const v1::WatchJobResponse& message) {
          progress.Update(message);
          return absl::OkStatus();
        }));
  }
  return ReportEnd(context, job);
}

}  // namespace attune::client
