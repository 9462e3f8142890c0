#ifndef ATTUNE_CLIENT_REPORT_REPORT_COMMAND_H_
#define ATTUNE_CLIENT_REPORT_REPORT_COMMAND_H_

#include <CLI/CLI.hpp>

#include "client/commands/context.h"

namespace attune::client {

// `attune report`.
void AddReportCommand(CLI::App& app, CommandContext& context);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_REPORT_REPORT_COMMAND_H_
