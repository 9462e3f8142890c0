#include "client/commands/cli.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/grpc/client_security_flags.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

constexpr char kDescription[] =
    "Aligns CLIP models with preferences and serves them: the client of "
    "attune-server.";

constexpr char kFooter[] = R"(Examples:
  attune model import base tiny.safetensors
  attune dataset create rta --candidates prompts.txt
  attune dataset upload rta examples.jsonl --seal
  attune job submit --dataset rta --model base --kl-weight 0 \
      --output-model robust --watch
  attune evaluate --dataset rta --model robust --against base
  attune classify photo.jpg --model robust --labels dog,cat

A version is named NAME (its latest), NAME:NUMBER or NAME@ALIAS.
Exit codes: 0 done, 1 the operation failed, 2 wrong usage, 3 the job failed or
was cancelled, 4 no server answers.)";

ExitCode CodeOf(const absl::Status& status) {
  const std::string reason = ErrorReason(status);
  if (reason == "USAGE") return kExitUsage;
  if (reason == "SERVER_UNREACHABLE") return kExitUnreachable;
  return kExitFailed;
}

// The innermost command that was named, for the hint after a usage error.
const CLI::App* Named(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

std::string PathOf(const CLI::App* app) {
  if (app->get_parent() == nullptr) return app->get_name();
  return absl::StrCat(PathOf(app->get_parent()), " ", app->get_name());
}

ExitCode ReportUsage(const CLI::App& app, absl::string_view message,
                     std::ostream& err) {
  err << "attune: " << message << " (USAGE)\n"
      << "See: " << PathOf(Named(&app)) << " --help\n";
  return kExitUsage;
}

absl::StatusOr<ExitCode> RunAction(CommandContext& context) {
  ATTUNE_ASSIGN_OR_RETURN(
      context.client_options().security,
      LoadClientSecurity(context.security_files(), context.server()));
  return context.action()();
}

}  // namespace

std::vector<AddCommand> StandardCommands() {
  return {AddModelCommand,      AddDatasetCommand,  AddJobCommand,
          AddEmbedCommand,      AddClassifyCommand, AddEvaluateCommand,
          AddEvaluationCommand, AddWorkerCommand};
}

void PrintError(const absl::Status& status, std::ostream& err) {
  const std::string reason = ErrorReason(status);
  err << "attune: " << status.message() << " ("
      << (reason.empty() ? absl::StatusCodeToString(status.code()) : reason)
      << ")\n";
  const std::vector<FieldViolation> fields = ErrorFields(status);
  // The message tells all that there is about a single field.
  if (fields.size() == 1 &&
      absl::StrContains(status.message(), fields[0].description)) {
    return;
  }
  for (const FieldViolation& field : fields) {
    err << "  " << field.field << ": " << field.description << '\n';
  }
}

ExitCode RunCli(std::vector<std::string> arguments,
                const std::vector<AddCommand>& commands,
                CommandContext& context) {
  CLI::App app(kDescription, "attune");
  app.require_subcommand(1);
  // The options below may stand anywhere on the line.
  app.fallthrough();
  app.add_option("--server", context.server(), "HOST:PORT of attune-server")
      ->envname("ATTUNE_SERVER")
      ->capture_default_str();
  app.add_option("--output", context.output(),
                 "text, or json: one line an object, with the API's names")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  AddClientSecurityFlags(app, context.security_files());
  app.set_version_flag("--version", "attune " ATTUNE_VERSION);
  for (AddCommand add : commands) add(app, context);
  // After the commands, which would inherit it.
  app.footer(kFooter);

  // CLI11 takes the arguments from the back.
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) {
      return ReportUsage(app, error.what(), context.console().err);
    }
    // Help or version, which CLI11 prints.
    app.exit(error, context.out(), context.console().err);
    return kExitDone;
  }
  absl::StatusOr<ExitCode> code = RunAction(context);
  if (code.ok()) return *code;
  if (CodeOf(code.status()) == kExitUsage) {
    return ReportUsage(app, code.status().message(), context.console().err);
  }
  PrintError(code.status(), context.console().err);
  return CodeOf(code.status());
}

}  // namespace attune::client
