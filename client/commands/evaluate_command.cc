#include <map>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/context.h"
#include "client/commands/job_progress.h"
#include "client/commands/progress.h"
#include "client/commands/table.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

struct EvaluateOptions {
  std::string dataset;
  std::string model;
  std::string against;
  std::vector<std::string> templates;
  bool truncate = false;
};

void PrintEvaluation(const v1::Evaluation& evaluation, std::ostream& out) {
  std::map<std::string, double> against;
  for (const v1::Figure& figure : evaluation.against_figures()) {
    against[figure.name()] = figure.value();
  }
  const bool compared = !evaluation.against().empty();
  std::vector<std::string> header = {"FIGURE", evaluation.model()};
  if (compared) {
    header.push_back(evaluation.against());
    header.push_back("DIFFERENCE");
  }
  header.push_back("COUNT");
  Table table(std::move(header));
  for (const v1::Figure& figure : evaluation.figures()) {
    std::vector<std::string> cells = {figure.name(),
                                      absl::StrFormat("%.4f", figure.value())};
    if (compared) {
      const auto other = against.find(figure.name());
      const bool known = other != against.end();
      cells.push_back(known ? absl::StrFormat("%.4f", other->second) : "");
      cells.push_back(
          known ? absl::StrFormat("%+.4f", figure.value() - other->second)
                : "");
    }
    cells.push_back(absl::StrCat(figure.count()));
    table.AddRow(std::move(cells));
  }
  table.Print(out);
}

absl::StatusOr<ExitCode> Evaluate(CommandContext& context,
                                  const EvaluateOptions& options) {
  v1::CreateJobRequest create;
  v1::EvaluateSpec& spec = *create.mutable_evaluate();
  spec.set_dataset(options.dataset);
  spec.set_model(options.model);
  spec.set_against(options.against);
  spec.mutable_templates()->Assign(options.templates.begin(),
                                   options.templates.end());
  spec.set_truncate(options.truncate);
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
  if (context.json()) {
    context.PrintJson(evaluation);
  } else {
    PrintEvaluation(evaluation, context.out());
  }
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
  evaluate->footer(
      "Example:\n  attune evaluate --dataset rta --model robust@stable "
      "--against base\nMakes an evaluation job and waits for it. Only figures "
      "that the examples allow\nare shown.");
  evaluate->callback([options, &context] {
    context.SetActionWithCode(
        [options, &context] { return Evaluate(context, *options); });
  });
}

}  // namespace attune::client
