#ifndef ATTUNE_SERVER_COMMANDS_BACKUP_COMMANDS_H_
#define ATTUNE_SERVER_COMMANDS_BACKUP_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "absl/status/status.h"

namespace attune {

// Adds `backup` and `restore`. The one that is called sets `*command` to what
// the program does instead of serving.
void AddBackupCommands(CLI::App& app, std::function<absl::Status()>* command);

}  // namespace attune

#endif  // ATTUNE_SERVER_COMMANDS_BACKUP_COMMANDS_H_
