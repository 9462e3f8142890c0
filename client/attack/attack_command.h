#ifndef ATTUNE_CLIENT_ATTACK_ATTACK_COMMAND_H_
#define ATTUNE_CLIENT_ATTACK_ATTACK_COMMAND_H_

#include <CLI/CLI.hpp>

#include "client/commands/context.h"

namespace attune::client {

// `attune dataset attack`. REQUIRES: AddDatasetCommand was called before.
void AddAttackCommand(CLI::App& app, CommandContext& context);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_ATTACK_ATTACK_COMMAND_H_
