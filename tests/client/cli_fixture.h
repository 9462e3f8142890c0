#ifndef ATTUNE_TESTS_CLIENT_CLI_FIXTURE_H_
#define ATTUNE_TESTS_CLIENT_CLI_FIXTURE_H_

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "client/commands/cli.h"
#include "gtest/gtest.h"
#include "tests/client/fake_server/fake_server.h"
#include "tests/test_util/temp_dir.h"

namespace attune::client {

// Runs command lines against a FakeServer and keeps what they print.
class CliTest : public ::testing::Test {
 protected:
  ExitCode Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--server", fake_.address()});
    return RunAsIs(std::move(arguments));
  }

  // Without --server.
  ExitCode RunAsIs(std::vector<std::string> arguments) {
    out_.str("");
    err_.str("");
    CommandContext context({.out = out_, .err = err_});
    context.poll_interval = absl::ZeroDuration();
    context.client_options().retry.sleep = [](absl::Duration) {};
    return RunCli(std::move(arguments), commands_, context);
  }

  std::string WriteFile(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_.File(name), std::ios::binary) << bytes;
    return folder_.File(name);
  }

  std::vector<AddCommand> commands_ = StandardCommands();
  FakeServer fake_;
  test::TempDir folder_;
  std::ostringstream out_;
  std::ostringstream err_;
};

}  // namespace attune::client

#endif  // ATTUNE_TESTS_CLIENT_CLI_FIXTURE_H_
