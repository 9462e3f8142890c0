#include "client/commands/sweep_command.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/cli.h"
#include "client/commands/job_batch.h"
#include "client/commands/progress.h"
#include "client/commands/sweep_options.h"
#include "client/commands/sweep_table.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

// "beta 0.1, kl-weight 1".
std::string Describe(const SweepPoint& point) {
  return absl::StrJoin(point.values, ", ", absl::PairFormatter(" "));
}

std::map<std::string, double> ToMap(
    const google::protobuf::RepeatedPtrField<v1::Figure>& figures) {
  std::map<std::string, double> map;
  for (const v1::Figure& figure : figures) map[figure.name()] = figure.value();
  return map;
}

// Waits for one job; `*base` becomes the row of the version that it started
// from, if it is measured.
absl::StatusOr<SweepRow> Finish(AttuneClient& client, ProgressLine& line,
                                const SweepPoint& point, const std::string& id,
                                SweepRow* base) {
  ATTUNE_ASSIGN_OR_RETURN(const v1::Job job, WaitForJob(client, line, id));
  SweepRow row;
  row.values = point.values;
  row.job_id = id;
  row.state = job.state();
  if (job.state() != v1::JOB_STATE_SUCCEEDED) return row;
  v1::GetEvaluationRequest get;
  get.set_job_id(id);
  ATTUNE_ASSIGN_OR_RETURN(const v1::Evaluation evaluation,
                          client.GetEvaluation(get));
  row.version = evaluation.model();
  row.figures = ToMap(evaluation.figures());
  base->version = evaluation.against();
  base->figures = ToMap(evaluation.against_figures());
  return row;
}

absl::StatusOr<ExitCode> Sweep(CommandContext& context,
                               const SweepOptions& options,
                               SweepFormat format) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<SweepPoint> points,
                          options.Expand());
  std::vector<v1::CreateJobRequest> requests(points.size());
  for (size_t i = 0; i < points.size(); ++i) {
    *requests[i].mutable_train() = points[i].spec;
  }
  AttuneClient& client = context.client();
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<v1::Job> jobs,
                          CreateAllJobs(client, requests));
  // The base comes first.
  std::vector<SweepRow> rows(1);
  ExitCode code = kExitDone;
  {
    // The table is what is printed; the progress goes beside it.
    ProgressLine line(context.console().err, context.console().err_is_terminal,
                      context.console().width);
    for (size_t i = 0; i < jobs.size(); ++i) {
      line.Print(
          absl::StrCat(i + 1, " of ", jobs.size(), ": ", Describe(points[i])));
      ATTUNE_ASSIGN_OR_RETURN(
          SweepRow row,
          Finish(client, line, points[i], jobs[i].id(), &rows.front()));
      if (row.state != v1::JOB_STATE_SUCCEEDED) code = kExitJobFailed;
      rows.push_back(std::move(row));
    }
  }
  if (rows.front().version.empty()) rows.erase(rows.begin());
  PrintSweep(rows, format, context.out());
  return code;
}

constexpr char kFooter[] = R"(Example:
  attune job sweep --dataset typo --eval-dataset typo-test --model base \
      --output-model robust --beta 0.1,0.3,1 --kl-weight 0.01,0.1,1
Every number may be a list; a job is made for every combination, in the order
of the lists, and its versions are those of NAME-1, NAME-2 and so on. All jobs
are queued at once. The table has the first version that each job made (the
average, where there is one) and the base; '*' marks the rows that no other row beats in attacked_top1 (or
pair_accuracy) and clean_top1 both. Exit code 3 when one of the jobs failed.)";

}  // namespace

void AddSweepCommand(CLI::App& job, CommandContext& context) {
  struct State {
    SweepOptions options;
    bool csv = false;
  };
  auto state = std::make_shared<State>();
  CLI::App* sweep = job.add_subcommand(
      "sweep", "Train with every combination of values and compare");
  state->options.AddTo(*sweep);
  sweep->add_flag("--csv", state->csv, "The table as comma-separated values");
  sweep->footer(kFooter);
  sweep->callback([state, &context] {
    context.SetActionWithCode([state, &context]() -> absl::StatusOr<ExitCode> {
      if (state->csv && context.json()) {
        return UsageError("--csv and --output json exclude each other");
      }
      return Sweep(context, state->options,
                   state->csv       ? SweepFormat::kCsv
                   : context.json() ? SweepFormat::kJson
                                    : SweepFormat::kText);
    });
  });
}

}  // namespace attune::client
