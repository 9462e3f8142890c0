// What the commands of the CLI share: where to print, in which form, and the
// client. One file of this folder holds the commands of one noun.

#ifndef ATTUNE_CLIENT_COMMANDS_CONTEXT_H_
#define ATTUNE_CLIENT_COMMANDS_CONTEXT_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/attune_client.h"
#include "google/protobuf/message.h"

namespace attune::client {

// What the process returns.
enum ExitCode : int {
  kExitDone = 0,
  // The operation failed.
  kExitFailed = 1,
  // The command line is wrong.
  kExitUsage = 2,
  // The job ended FAILED or CANCELLED.
  kExitJobFailed = 3,
  kExitUnreachable = 4,
};

// Where a program prints. The streams must live as long as this.
struct Console {
  std::ostream& out;
  std::ostream& err;
  // Whether a person looks at the stream: progress is then drawn in place.
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  // Columns of the terminal.
  int width = 80;
};

// Shared by the commands of one command line. Not thread-safe.
//
// A command registers its options with CLI11 and a callback that puts an
// action here; the action runs once the whole command line is understood, so
// that an error on the command line never leaves half an effect.
class CommandContext {
 public:
  // Returns the exit code of a command that ran; an error is printed by the
  // caller.
  using Action = std::function<absl::StatusOr<ExitCode>()>;

  explicit CommandContext(Console console);

  Console& console() { return console_; }
  std::ostream& out() { return console_.out; }

  // --server and --output are bound to these.
  std::string& server() { return client_options_.server; }
  std::string& output() { return output_; }
  // So are the flags of TLS and the API key.
  ClientSecurityFiles& security_files() { return security_files_; }
  bool json() const { return output_ == "json"; }
  ClientOptions& client_options() { return client_options_; }

  // Made at the first use, with the options as they are then.
  AttuneClient& client();

  void SetActionWithCode(Action action) { action_ = std::move(action); }
  // For a command that has only one good exit code.
  void SetAction(std::function<absl::Status()> action);
  const Action& action() const { return action_; }

  // Prints a message as one line of JSON with the proto's field names, zero
  // values included.
  void PrintJson(const google::protobuf::Message& message);

  // Between two looks at something that takes time.
  absl::Duration poll_interval = absl::Milliseconds(500);

 private:
  Console console_;
  ClientOptions client_options_;
  ClientSecurityFiles security_files_;
  std::string output_ = "text";
  std::unique_ptr<AttuneClient> client_;
  Action action_;
};

// An error of the command line, for what CLI11 cannot check: exit code 2.
absl::Status UsageError(absl::string_view message);

// --t, the knob of versions with a linear head. `t` must outlive `command`.
void AddKnobOption(CLI::App& command, std::optional<double>& t);

// Each adds the commands of one noun.
void AddClassifyCommand(CLI::App& app, CommandContext& context);
void AddDatasetCommand(CLI::App& app, CommandContext& context);
void AddEmbedCommand(CLI::App& app, CommandContext& context);
void AddEvaluateCommand(CLI::App& app, CommandContext& context);
void AddEvaluationCommand(CLI::App& app, CommandContext& context);
void AddJobCommand(CLI::App& app, CommandContext& context);
void AddModelCommand(CLI::App& app, CommandContext& context);
void AddWorkerCommand(CLI::App& app, CommandContext& context);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_CONTEXT_H_
