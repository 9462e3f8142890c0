#ifndef ATTUNE_SERVER_COMMANDS_KEYS_COMMANDS_H_
#define ATTUNE_SERVER_COMMANDS_KEYS_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "absl/status/status.h"

namespace attune {

// Adds `keys create|list|revoke`, which work whether a server runs on the data
// folder or not. The one that is called sets `*command` to what the program
// does instead of serving.
void AddKeysCommands(CLI::App& app, std::function<absl::Status()>* command);

}  // namespace attune

#endif  // ATTUNE_SERVER_COMMANDS_KEYS_COMMANDS_H_
