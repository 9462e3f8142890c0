#include "client/commands/context.h"

#include <google/protobuf/util/json_util.h>

#include <utility>

#include "common/error.h"

namespace attune::client {

CommandContext::CommandContext(Console console) : console_(console) {}

AttuneClient& CommandContext::client() {
  if (client_ == nullptr) {
    client_ = std::make_unique<AttuneClient>(client_options_);
  }
  return *client_;
}

void CommandContext::SetAction(std::function<absl::Status()> action) {
  action_ = [action = std::move(action)]() -> absl::StatusOr<ExitCode> {
    if (absl::Status status = action(); !status.ok()) return status;
    return kExitDone;
  };
}

void CommandContext::PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails only for Any messages of unknown type, which no reply holds.
  google::protobuf::util::MessageToJsonString(message, &json, options).ok();
  out() << json << '\n' << std::flush;
}

void AddKnobOption(CLI::App& command, std::optional<double>& t) {
  command.add_option("--t", t,
                     "Knob of a version with a linear head, from -4 to 4: 0 is "
                     "the model that it was trained from, 1 what was trained "
                     "[1]");
}

absl::Status UsageError(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "USAGE", message);
}

}  // namespace attune::client
