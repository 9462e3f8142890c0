#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/commands/context.h"
#include "client/commands/evaluation_table.h"
#include "client/commands/job_batch.h"
#include "client/commands/job_progress.h"
#include "client/commands/knob_sweep.h"
#include "client/commands/progress.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

struct EvaluateOptions {
  std::string dataset;
  std::string model;
  std::string against;
  std::vector<std::string> templates;
  bool truncate = false;
  std::vector<std::string> group_by;
  int64_t seed = 0;
  std::optional<double> t;
  std::string t_sweep;
  EvaluationFormat format;
};

v1::CreateJobRequest RequestOf(const EvaluateOptions& options) {
  v1::CreateJobRequest request;
  v1::EvaluateSpec& spec = *request.mutable_evaluate();
  spec.set_dataset(options.dataset);
  spec.set_model(options.model);
  spec.set_against(options.against);
  spec.mutable_templates()->Assign(options.templates.begin(),
                                   options.templates.end());
  spec.set_truncate(options.truncate);
  spec.mutable_group_by()->Assign(options.group_by.begin(),
                                  options.group_by.end());
  spec.set_seed(options.seed);
  if (options.t) spec.set_t(*options.t);
  return request;
}

// A job for each setting of --t-sweep, or one.
absl::StatusOr<std::vector<v1::CreateJobRequest>> Requests(
    const EvaluateOptions& options) {
  if (options.t_sweep.empty()) return std::vector{RequestOf(options)};
  if (options.format.tables) {
    return UsageError(
        "--tables is of one evaluation: take --csv, which has the tables of "
        "every t, or look at one of the sweep's with 'attune evaluation show'");
  }
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<double> settings,
                          ParseKnobSweep(options.t_sweep));
  std::vector<v1::CreateJobRequest> requests;
  for (const double t : settings) {
    requests.push_back(RequestOf(options));
    requests.back().mutable_evaluate()->set_t(t);
  }
  return requests;
}

absl::StatusOr<ExitCode> Evaluate(CommandContext& context,
                                  const EvaluateOptions& options) {
  ATTUNE_RETURN_IF_ERROR(CheckEvaluationFormat(context, options.format));
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<v1::CreateJobRequest> requests,
                          Requests(options));
  AttuneClient& client = context.client();
  ATTUNE_ASSIGN_OR_RETURN(std::vector<v1::Job> jobs,
                          CreateAllJobs(client, requests));
  {
    // The table is what is printed; the progress goes beside it.
    ProgressLine line(context.console().err, context.console().err_is_terminal,
                      context.console().width);
    for (v1::Job& job : jobs) {
      ATTUNE_ASSIGN_OR_RETURN(job, WaitForJob(client, line, job.id()));
    }
  }
  std::vector<v1::Evaluation> evaluations;
  ExitCode code = kExitDone;
  for (const v1::Job& job : jobs) {
    if (job.state() != v1::JOB_STATE_SUCCEEDED) {
      code = ReportEnd(context, job);
      continue;
    }
    v1::GetEvaluationRequest get;
    get.set_job_id(job.id());
    ATTUNE_ASSIGN_OR_RETURN(v1::Evaluation evaluation,
                            client.GetEvaluation(get));
    evaluations.push_back(std::move(evaluation));
  }
  if (evaluations.empty()) return code;
  if (options.t_sweep.empty() || context.json() || options.format.csv) {
    PrintEvaluations(context, options.format, evaluations);
  } else {
    PrintKnobCurve(evaluations, context.out());
  }
  return code;
}

}  // namespace

void AddEvaluateCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App* evaluate = app.add_subcommand(
      "evaluate", "Measure a version on a dataset, beside another version");
  evaluate->add_option("--dataset", options->dataset, "A sealed dataset")
      ->required();
  evaluate->add_option("--model", options->model, "NAME, NAME:N or NAME@ALIAS")
      ->required();
  evaluate->add_option("--against", options->against,
                       "Version to compare with [the one it was trained from]");
  evaluate
      ->add_option("--template", options->templates,
                   "Text with {} for the candidate; may be repeated, and the "
                   "embeddings are then averaged")
      ->allow_extra_args(false);
  evaluate->add_flag("--truncate", options->truncate,
                     "Cut texts that are longer than the model's context");
  evaluate
      ->add_option("--group-by", options->group_by,
                   "Attribute whose values are compared as groups; may be "
                   "repeated [each with 2 to 50 values of 2 or more examples]")
      ->allow_extra_args(false);
  evaluate->add_option("--seed", options->seed,
                       "Of the intervals' resamples [0]");
  AddKnobOption(*evaluate, options->t);
  evaluate
      ->add_option("--t-sweep", options->t_sweep,
                   "FIRST:LAST:STEP: a job for every t, and the curve")
      ->excludes("--t");
  AddEvaluationFormat(*evaluate, options->format);
  evaluate->footer(
      "Examples:\n  attune evaluate --dataset rta --model robust@stable "
      "--against base\n  attune evaluate --dataset colours --model neutral "
      "--t-sweep -1:1:0.1\nMakes an evaluation job and waits for it. Only "
      "figures "
      "that the examples allow\nare shown. 95 %: bootstrap interval. P: "
      "McNemar's exact test, how likely so uneven\na split is between equally "
      "good versions. 'attune evaluation' lists and shows\nwhat was "
      "evaluated.");
  evaluate->callback([options, &context] {
    context.SetActionWithCode(
        [options, &context] { return Evaluate(context, *options); });
  });
}

}  // namespace attune::client
