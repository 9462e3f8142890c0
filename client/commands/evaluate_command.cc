#include <cstdint>
#include <memory>
#include <vector>

#include "client/commands/context.h"
#include "client/commands/evaluation_table.h"
#include "client/commands/job_progress.h"
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
  EvaluationFormat format;
};

absl::StatusOr<ExitCode> Evaluate(CommandContext& context,
                                  const EvaluateOptions& options) {
  ATTUNE_RETURN_IF_ERROR(CheckEvaluationFormat(context, options.format));
  v1::CreateJobRequest create;
  v1::EvaluateSpec& spec = *create.mutable_evaluate();
  spec.set_dataset(options.dataset);
  spec.set_model(options.model);
  spec.set_against(options.against);
  spec.mutable_templates()->Assign(options.templates.begin(),
                                   options.templates.end());
  spec.set_truncate(options.truncate);
  spec.mutable_group_by()->Assign(options.group_by.begin(),
                                  options.group_by.end());
  spec.set_seed(options.seed);
  ATTUNE_ASSIGN_OR_RETURN(v1::Job job, context.client().CreateJob(create));
  {
    // The table is what is printed; the progress goes beside it.
    ProgressLine line(context.console().err, context.console().err_is_terminal,
                      context.console().width);
    JobProgress progress(line);
    ATTUNE_ASSIGN_OR_RETURN(
        job, context.client().WatchJob(
                 job.id(), [&](const v1::WatchJobResponse& message) {
                   progress.Update(message);
                   return absl::OkStatus();
                 }));
  }
  if (job.state() != v1::JOB_STATE_SUCCEEDED) return ReportEnd(context, job);
  v1::GetEvaluationRequest get;
  get.set_job_id(job.id());
  ATTUNE_ASSIGN_OR_RETURN(const v1::Evaluation evaluation,
                          context.client().GetEvaluation(get));
  PrintEvaluations(context, options.format, {evaluation});
  return kExitDone;
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
  AddEvaluationFormat(*evaluate, options->format);
  evaluate->footer(
      "Example:\n  attune evaluate --dataset rta --model robust@stable "
      "--against base\nMakes an evaluation job and waits for it. Only figures "
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
