#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/commands/context.h"
#include "client/commands/evaluation_table.h"
#include "client/commands/table.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

absl::StatusOr<v1::ListEvaluationsResponse> ListAll(
    CommandContext& context, const v1::ListEvaluationsRequest& request) {
  v1::ListEvaluationsResponse all;
  ATTUNE_RETURN_IF_ERROR(ForEachPage(
      request,
      [&](const auto& page) { return context.client().ListEvaluations(page); },
      [&](v1::ListEvaluationsResponse& page) {
        all.mutable_evaluations()->MergeFrom(page.evaluations());
      }));
  return all;
}

absl::Status List(CommandContext& context, const std::string& model,
                  const std::string& job) {
  v1::ListEvaluationsRequest request;
  request.set_model(model);
  request.set_job_id(job);
  ATTUNE_ASSIGN_OR_RETURN(const v1::ListEvaluationsResponse all,
                          ListAll(context, request));
  if (context.json()) {
    context.PrintJson(all);
    return absl::OkStatus();
  }
  Table table({"JOB", "MODEL", "AGAINST", "DATASET", "CREATED", "FIGURES"});
  for (const v1::Evaluation& evaluation : all.evaluations()) {
    table.AddRow(
        {evaluation.job_id(), MeasuredVersion(evaluation), evaluation.against(),
         evaluation.dataset(), FormatTime(evaluation.create_time()),
         absl::StrJoin(evaluation.figures(), ", ",
                       [](std::string* text, const v1::Figure& figure) {
                         absl::StrAppend(
                             text, figure.name(), " ",
                             absl::StrFormat("%.4f", figure.value()));
                       })});
  }
  table.Print(context.out());
  return absl::OkStatus();
}

absl::Status Show(CommandContext& context, const std::string& job,
                  const std::string& model, const EvaluationFormat& format) {
  ATTUNE_RETURN_IF_ERROR(CheckEvaluationFormat(context, format));
  std::vector<std::string> models = {model};
  if (model.empty()) {
    v1::ListEvaluationsRequest request;
    request.set_job_id(job);
    ATTUNE_ASSIGN_OR_RETURN(const v1::ListEvaluationsResponse all,
                            ListAll(context, request));
    models.clear();
    // In the order in which they were made.
    for (auto each = all.evaluations().rbegin();
         each != all.evaluations().rend(); ++each) {
      models.push_back(each->model());
    }
    // The server says what there is to say of a job without any.
    if (models.empty()) models.push_back("");
  }
  std::vector<v1::Evaluation> evaluations;
  for (const std::string& each : models) {
    v1::GetEvaluationRequest request;
    request.set_job_id(job);
    request.set_model(each);
    ATTUNE_ASSIGN_OR_RETURN(v1::Evaluation evaluation,
                            context.client().GetEvaluation(request));
    evaluations.push_back(std::move(evaluation));
  }
  PrintEvaluations(context, format, evaluations);
  return absl::OkStatus();
}

}  // namespace

void AddEvaluationCommand(CLI::App& app, CommandContext& context) {
  struct State {
    std::string job;
    std::string model;
    EvaluationFormat format;
  };
  auto state = std::make_shared<State>();
  CLI::App* evaluation =
      app.add_subcommand("evaluation", "What evaluations have found");
  evaluation->require_subcommand(1);

  CLI::App* list =
      evaluation->add_subcommand("list", "All evaluations, the newest first");
  list->add_option("--model", state->model,
                   "Only of this model (NAME) or version (NAME:N, NAME@ALIAS)");
  list->add_option("--job", state->job, "Only of this job");
  list->footer("Example:\n  attune evaluation list --model robust");
  list->callback([state, &context] {
    context.SetAction(
        [state, &context] { return List(context, state->model, state->job); });
  });

  CLI::App* show = evaluation->add_subcommand(
      "show", "The figures of an evaluation job, or of a training's outputs");
  show->add_option("job", state->job, "The job, such as job-4be1c09a77d2")
      ->required();
  show->add_option("--model", state->model, "Only of this version [all]");
  AddEvaluationFormat(*show, state->format);
  show->footer(
      "Examples:\n  attune evaluation show job-4be1c09a77d2 --tables\n"
      "  attune evaluation show job-4be1c09a77d2 --csv > figures.csv");
  show->callback([state, &context] {
    context.SetAction([state, &context] {
      return Show(context, state->job, state->model, state->format);
    });
  });
}

}  // namespace attune::client
