#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/context.h"
#include "client/commands/job_options.h"
#include "client/commands/job_progress.h"
#include "client/commands/metric_table.h"
#include "client/commands/sweep_command.h"
#include "client/commands/table.h"
#include "common/error.h"
#include "common/grpc/objective_codec.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

std::string StateName(const v1::Job& job) {
  return WithoutPrefix("JOB_STATE_", v1::JobState_Name(job.state()));
}

std::string KindName(const v1::Job& job) {
  if (job.has_evaluate()) return "evaluate";
  const ObjectiveSchema* objective = ObjectiveOf(job.train());
  return objective == nullptr ? "unknown" : objective->name;
}

std::string Progress(const v1::Job& job) {
  if (job.total_steps() == 0) return "";
  return absl::StrCat(job.step(), "/", job.total_steps());
}

absl::Status List(CommandContext& context) {
  v1::ListJobsResponse all;
  ATTUNE_RETURN_IF_ERROR(ForEachPage(
      v1::ListJobsRequest(),
      [&](const auto& request) { return context.client().ListJobs(request); },
      [&](v1::ListJobsResponse& page) {
        all.mutable_jobs()->MergeFrom(page.jobs());
      }));
  if (context.json()) {
    context.PrintJson(all);
    return absl::OkStatus();
  }
  Table table({"ID", "STATE", "KIND", "DATASET", "FROM", "MADE", "STEP",
               "CREATED", "NOTE"});
  for (const v1::Job& job : all.jobs()) {
    const bool evaluate = job.has_evaluate();
    table.AddRow({job.id(), StateName(job), KindName(job),
                  evaluate ? job.evaluate().dataset() : job.train().dataset(),
                  evaluate ? job.evaluate().model() : job.train().base(),
                  absl::StrJoin(job.output_versions(), ","), Progress(job),
                  FormatTime(job.create_time()), job.status_message()});
  }
  table.Print(context.out());
  return absl::OkStatus();
}

std::string TrainedPart(const v1::TrainedPart& part) {
  switch (part.kind()) {
    case v1::TrainedPart::KIND_IMAGE:
      return "image tower";
    case v1::TrainedPart::KIND_TEXT:
      return "text tower";
    case v1::TrainedPart::KIND_LAST:
      return absl::StrCat("last ", part.last_blocks(), " blocks");
    default:
      return "all";
  }
}

std::string PrecisionName(v1::Precision precision) {
  return absl::AsciiStrToLower(
      WithoutPrefix("PRECISION_", v1::Precision_Name(precision)));
}

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string DescribeGuard(const v1::TrainSpec& spec) {
  if (!spec.has_guard()) return "";
  const v1::Guard& guard = spec.guard();
  // In order of the names.
  const std::map<std::string, double> bounds(guard.max_drop().begin(),
                                             guard.max_drop().end());
  std::string text = absl::StrCat(
      absl::StrJoin(bounds, ", ", absl::PairFormatter(" -")), ", every ",
      guard.has_eval_every() ? absl::StrCat(guard.eval_every(), " steps")
                             : "epoch",
      ", best by ", guard.best_by());
  if (guard.patience() > 0) {
    absl::StrAppend(&text, ", patience ", guard.patience());
  }
  return text;
}

void AddSpec(const v1::TrainSpec& spec, Fields* fields) {
  const v1::Optimizer& optimizer = spec.optimizer();
  const bool adamw = optimizer.kind() == v1::Optimizer::KIND_ADAMW;
  const bool constant =
      optimizer.schedule() == v1::Optimizer::SCHEDULE_CONSTANT;
  fields->insert(
      fields->end(),
      {{"Dataset", spec.dataset()},
       {"From", spec.base()},
       {"Output model", spec.output_model()},
       {"Objective", DescribeObjective(spec)},
       {"Trained", TrainedPart(spec.trained_part())},
       {"Precision", PrecisionName(spec.precision())},
       {"Optimizer", absl::StrCat(adamw ? "adamw" : "adamax",
                                  ", learning-rate ", optimizer.learning_rate(),
                                  ", weight-decay ", optimizer.weight_decay(),
                                  ", warmup-ratio ", optimizer.warmup_ratio(),
                                  ", ", constant ? "constant" : "cosine")},
       {"Length", spec.has_steps() ? absl::StrCat(spec.steps(), " steps")
                                   : absl::StrCat(spec.epochs(), " epochs")},
       {"Batch size", absl::StrCat(spec.batch_size())},
       {"Seed", absl::StrCat(spec.seed())},
       {"Average", spec.average() ? "yes" : "no"},
       {"Eval dataset", spec.eval_dataset()},
       {"Guard", DescribeGuard(spec)}});
}

absl::Status Show(CommandContext& context, const std::string& id) {
  v1::GetJobRequest request;
  request.set_id(id);
  ATTUNE_ASSIGN_OR_RETURN(const v1::Job job, context.client().GetJob(request));
  if (context.json()) {
    context.PrintJson(job);
    return absl::OkStatus();
  }
  Fields fields = {{"Job", job.id()},
                   {"State", StateName(job)},
                   {"Note", job.status_message()},
                   {"Step", Progress(job)},
                   {"Attempts", absl::StrCat(job.attempt(), " (",
                                             job.failure_count(), " failed)")},
                   {"Worker", job.worker_id()},
                   {"Created", FormatTime(job.create_time())},
                   {"Started", FormatTime(job.start_time())},
                   {"Ended", FormatTime(job.end_time())},
                   {"Made", absl::StrJoin(job.output_versions(), ", ")},
                   {"Retry of", job.retry_of()}};
  if (job.has_train()) {
    AddSpec(job.train(), &fields);
  } else {
    fields.insert(fields.end(), {{"Dataset", job.evaluate().dataset()},
                                 {"Model", job.evaluate().model()},
                                 {"Against", job.evaluate().against()}});
  }
  PrintFields(fields, context.out());
  return absl::OkStatus();
}

// A job that was just made: its id, or its progress until it ends.
absl::StatusOr<ExitCode> ReportNew(CommandContext& context, const v1::Job& job,
                                   bool watch) {
  if (watch) return WatchAndReport(context, job.id());
  if (context.json()) {
    context.PrintJson(job);
  } else {
    context.out() << job.id() << '\n';
  }
  return kExitDone;
}

absl::StatusOr<ExitCode> Submit(CommandContext& context,
                                const JobOptions& options, bool watch) {
  v1::CreateJobRequest request;
  ATTUNE_ASSIGN_OR_RETURN(*request.mutable_train(), ToTrainSpec(options));
  ATTUNE_ASSIGN_OR_RETURN(const v1::Job job,
                          context.client().CreateJob(request));
  return ReportNew(context, job, watch);
}

// A call that moves a job: prints its new state.
template <typename Request>
absl::Status Move(
    CommandContext& context, const std::string& id,
    absl::StatusOr<v1::Job> (AttuneClient::*move)(Request request)) {
  Request request;
  request.set_id(id);
  ATTUNE_ASSIGN_OR_RETURN(const v1::Job job,
                          (context.client().*move)(std::move(request)));
  if (context.json()) {
    context.PrintJson(job);
  } else {
    context.out() << job.id() << ' ' << StateName(job) << '\n';
  }
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Retry(CommandContext& context, const std::string& id,
                               bool watch) {
  v1::RetryJobRequest request;
  request.set_id(id);
  ATTUNE_ASSIGN_OR_RETURN(const v1::Job job,
                          context.client().RetryJob(request));
  return ReportNew(context, job, watch);
}

absl::Status Events(CommandContext& context, const std::string& id) {
  v1::ListEventsRequest request;
  request.set_job_id(id);
  Table table({"WHEN", "ATTEMPT", "WHAT"});
  ATTUNE_RETURN_IF_ERROR(ForEachPage(
      request,
      [&](const auto& page) { return context.client().ListEvents(page); },
      [&](const v1::ListEventsResponse& page) {
        for (const v1::JobEvent& event : page.events()) {
          if (context.json()) {
            context.PrintJson(event);
          } else {
            table.AddRow({FormatTime(event.time()),
                          absl::StrCat(event.attempt()), event.message()});
          }
        }
      }));
  if (!context.json()) table.Print(context.out());
  return absl::OkStatus();
}

absl::Status Checkpoints(CommandContext& context, const std::string& id) {
  v1::ListCheckpointsRequest request;
  request.set_job_id(id);
  ATTUNE_ASSIGN_OR_RETURN(const v1::ListCheckpointsResponse response,
                          context.client().ListCheckpoints(request));
  if (context.json()) {
    context.PrintJson(response);
    return absl::OkStatus();
  }
  Table table({"STEP", "ATTEMPT", "SIZE", "CREATED"});
  for (const v1::Checkpoint& checkpoint : response.checkpoints()) {
    table.AddRow({absl::StrCat(checkpoint.step()),
                  absl::StrCat(checkpoint.attempt()),
                  FormatBytes(checkpoint.size_bytes()),
                  FormatTime(checkpoint.create_time())});
  }
  table.Print(context.out());
  return absl::OkStatus();
}

absl::Status Metrics(CommandContext& context, const std::string& id, bool csv) {
  if (csv && context.json()) {
    return UsageError("--csv and --output json exclude each other");
  }
  v1::ListMetricsRequest request;
  request.set_job_id(id);
  request.set_page_size(10'000);
  std::unique_ptr<MetricPrinter> printer = MakeMetricPrinter(csv, context);
  ATTUNE_RETURN_IF_ERROR(ForEachPage(
      request,
      [&](const auto& page) { return context.client().ListMetrics(page); },
      [&](const v1::ListMetricsResponse& page) {
        for (const v1::MetricRow& row : page.rows()) printer->Add(row);
      }));
  printer->Finish();
  return absl::OkStatus();
}

// A command with the job's id as its argument.
CLI::App* AddIdCommand(CLI::App& job, const char* name, const char* help,
                       std::string& id) {
  CLI::App* command = job.add_subcommand(name, help);
  command->add_option("id", id, "The job, such as job-4be1c09a77d2")
      ->required();
  return command;
}

// A command that calls `move` on the job.
template <typename Request>
void AddMoveCommand(CLI::App& job, const char* name, const char* help,
                    absl::StatusOr<v1::Job> (AttuneClient::*move)(Request),
                    const std::shared_ptr<std::string>& id,
                    CommandContext& context) {
  CLI::App* command = AddIdCommand(job, name, help, *id);
  command->footer(
      absl::StrCat("Example:\n  attune job ", name, " job-4be1c09a77d2"));
  command->callback([move, id, &context] {
    context.SetAction(
        [move, id, &context] { return Move(context, *id, move); });
  });
}

}  // namespace

void AddJobCommand(CLI::App& app, CommandContext& context) {
  struct State {
    std::string id;
    JobOptions options;
    bool watch = false;
    bool csv = false;
  };
  auto state = std::make_shared<State>();
  CLI::App* job =
      app.add_subcommand("job", "Train, watch, pause, cancel and retry");
  job->require_subcommand(1);

  CLI::App* submit =
      job->add_subcommand("submit", "Start a training job and print its id");
  AddJobOptions(*submit, state->options);
  submit->add_flag("--watch", state->watch, "Show the progress until it ends");
  submit->footer(R"(Examples:
  attune job submit --dataset typo --model base --output-model robust --watch
  attune job submit --dataset rta --model base --objective dpo --beta 1 \
      --kl-weight 0 --epochs 30 --batch-size 16 --learning-rate 1e-3 \
      --output-model robust --watch
Options without a value take the published one of the objective, in brackets. A
KL weight above 0 needs clean pictures in the dataset.)");
  submit->callback([state, &context] {
    context.SetActionWithCode([state, &context] {
      return Submit(context, state->options, state->watch);
    });
  });

  AddSweepCommand(*job, context);

  CLI::App* list = job->add_subcommand("list", "All jobs, the newest first");
  list->footer("Example:\n  attune job list");
  list->callback(
      [&context] { context.SetAction([&context] { return List(context); }); });

  CLI::App* show = AddIdCommand(*job, "show", "One job", state->id);
  show->footer("Example:\n  attune job show job-4be1c09a77d2 --output json");
  show->callback([state, &context] {
    context.SetAction([state, &context] { return Show(context, state->id); });
  });

  CLI::App* watch = AddIdCommand(
      *job, "watch", "Show a job's progress until it ends", state->id);
  watch->footer(
      "Example:\n  attune job watch job-4be1c09a77d2\n"
      "Exit code 3 when the job fails or is cancelled. Interrupting the watch "
      "does not stop the job.");
  watch->callback([state, &context] {
    context.SetActionWithCode(
        [state, &context] { return WatchAndReport(context, state->id); });
  });

  CLI::App* metrics = AddIdCommand(
      *job, "metrics", "What every step of a job has reported", state->id);
  metrics->add_flag("--csv", state->csv, "As comma-separated values");
  metrics->footer(
      "Examples:\n  attune job metrics job-4be1c09a77d2 --csv > run.csv\n"
      "  attune job metrics job-4be1c09a77d2 --output json   (a row a line)");
  metrics->callback([state, &context] {
    context.SetAction(
        [state, &context] { return Metrics(context, state->id, state->csv); });
  });

  CLI::App* events = AddIdCommand(
      *job, "events", "What happened to a job, when and why", state->id);
  events->footer("Example:\n  attune job events job-4be1c09a77d2");
  events->callback([state, &context] {
    context.SetAction([state, &context] { return Events(context, state->id); });
  });

  CLI::App* checkpoints =
      AddIdCommand(*job, "checkpoints",
                   "The stored checkpoints of a job, newest first", state->id);
  checkpoints->footer("Example:\n  attune job checkpoints job-4be1c09a77d2");
  checkpoints->callback([state, &context] {
    context.SetAction(
        [state, &context] { return Checkpoints(context, state->id); });
  });

  const std::shared_ptr<std::string> id(state, &state->id);
  AddMoveCommand(*job, "pause",
                 "Stop a job after storing a checkpoint, to be resumed",
                 &AttuneClient::PauseJob, id, context);
  AddMoveCommand(*job, "resume",
                 "Queue a paused job; it goes on from its last checkpoint",
                 &AttuneClient::ResumeJob, id, context);
  AddMoveCommand(*job, "cancel", "Stop a job for good; a checkpoint stays",
                 &AttuneClient::CancelJob, id, context);

  CLI::App* retry = AddIdCommand(
      *job, "retry",
      "Start a new job from the last checkpoint of a failed or cancelled one "
      "and print its id",
      state->id);
  retry->add_flag("--watch", state->watch, "Show the progress until it ends");
  retry->footer("Example:\n  attune job retry job-4be1c09a77d2 --watch");
  retry->callback([state, &context] {
    context.SetActionWithCode(
        [state, &context] { return Retry(context, state->id, state->watch); });
  });
}

}  // namespace attune::client
