// attune: the command line client.

#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>
#include <vector>

#include "client/attack/attack_command.h"
#include "client/commands/cli.h"
#include "client/demo/demo_command.h"
#include "client/report/report_command.h"

namespace {

int TerminalWidth() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return size.ws_col;
  }
  return 80;
}

}  // namespace

int main(int argc, char** argv) {
  attune::client::CommandContext context(
      {.out = std::cout,
       .err = std::cerr,
       .out_is_terminal = isatty(STDOUT_FILENO) == 1,
       .err_is_terminal = isatty(STDERR_FILENO) == 1,
       .width = TerminalWidth()});
  std::vector<attune::client::AddCommand> commands =
      attune::client::StandardCommands();
  commands.push_back(attune::client::AddAttackCommand);
  commands.push_back(attune::client::AddReportCommand);
  commands.push_back(attune::client::AddDemoCommand);
  return attune::client::RunCli({argv + 1, argv + argc}, commands, context);
}
