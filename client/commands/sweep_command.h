#ifndef ATTUNE_CLIENT_COMMANDS_SWEEP_COMMAND_H_
#define ATTUNE_CLIENT_COMMANDS_SWEEP_COMMAND_H_

#include "client/commands/context.h"

namespace attune::client {

// Adds `sweep` to the `job` command.
void AddSweepCommand(CLI::App& job, CommandContext& context);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_SWEEP_COMMAND_H_
