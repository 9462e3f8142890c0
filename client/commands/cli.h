#ifndef ATTUNE_CLIENT_COMMANDS_CLI_H_
#define ATTUNE_CLIENT_COMMANDS_CLI_H_

#include <string>
#include <vector>

#include "client/commands/context.h"

namespace attune::client {

using AddCommand = void (*)(CLI::App&, CommandContext&);

// The nouns that this folder implements.
std::vector<AddCommand> StandardCommands();

// Runs one command line (without the program's name) and returns its exit
// code. Results go to the console's `out`; errors, as one line
// "attune: MESSAGE (REASON)" and a line a field where several are wrong, to its
// `err`. Not thread-safe.
ExitCode RunCli(std::vector<std::string> arguments,
                const std::vector<AddCommand>& commands,
                CommandContext& context);

// Prints an error that way.
void PrintError(const absl::Status& status, std::ostream& err);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_CLI_H_
