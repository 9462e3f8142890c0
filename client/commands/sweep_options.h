#ifndef ATTUNE_CLIENT_COMMANDS_SWEEP_OPTIONS_H_
#define ATTUNE_CLIENT_COMMANDS_SWEEP_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/job_service.pb.h"

namespace attune::client {

// One job of a sweep.
struct SweepPoint {
  // The swept options without their dashes and what they are here, such as
  // {"beta", "0.1"}, in the order of `job submit --help`.
  std::vector<std::pair<std::string, std::string>> values;
  v1::TrainSpec spec;
};

// The options of `job submit`, made of them so that none is forgotten, where
// every number may be a list: "--beta 0.1,0.3,1". Must outlive the command.
class SweepOptions {
 public:
  // Adds the options to `command`. --eval-dataset is required here.
  void AddTo(CLI::App& command);

  // A job for every combination of the lists' values, the last list's value
  // changing fastest, with the output models NAME-1, NAME-2 … A usage error
  // (exit code 2) for what `job submit` refuses, for lists of fewer than two
  // values in all, and for more than 1,000 combinations.
  absl::StatusOr<std::vector<SweepPoint>> Expand() const;

 private:
  struct Given {
    std::string name;  // without dashes
    bool is_flag = false;
    // Of which `job submit` takes several: never a dimension of the sweep.
    bool repeats = false;
    // What the command line has; of a flag empty.
    std::vector<std::string> values;
    int flag_count = 0;
  };

  // The options, addresses being bound to the command.
  std::vector<std::unique_ptr<Given>> given_;
};

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_SWEEP_OPTIONS_H_
