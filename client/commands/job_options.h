#ifndef ATTUNE_CLIENT_COMMANDS_JOB_OPTIONS_H_
#define ATTUNE_CLIENT_COMMANDS_JOB_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/job_service.pb.h"
#include "common/objective_schema.h"

namespace attune::client {

// The options of `job submit`. One that is not given stays unset, so that the
// server fills in the published value of the objective.
struct JobOptions {
  std::string dataset;
  std::string model;
  std::string output_model;
  std::string objective = "dpo";
  // --beta, --kl-weight … by their field's name.
  ObjectiveValues objective_options;
  std::optional<std::string> optimizer;
  std::optional<double> learning_rate;
  std::optional<double> weight_decay;
  std::optional<double> warmup_ratio;
  std::optional<std::string> schedule;
  std::optional<int32_t> epochs;
  std::optional<int64_t> steps;
  std::optional<int32_t> batch_size;
  std::optional<int32_t> clean_batch_size;
  int32_t micro_batch = 0;
  std::optional<int64_t> seed;
  std::optional<std::string> train;
  std::optional<double> head_penalty;
  std::optional<std::string> precision;
  bool freeze_logit_scale = false;
  std::optional<bool> average;
  std::optional<int64_t> checkpoint_every;
  std::string eval_dataset;
  // FIGURE=DROP each.
  std::vector<std::string> max_drop;
  std::optional<int64_t> eval_every;
  std::optional<int> patience;
  std::string best_by;
  bool truncate = false;
};

// Adds the options to `command`. `options` must outlive it.
void AddJobOptions(CLI::App& command, JobOptions& options);

// "dpo, beta 1, kl-weight 1 …"; "unknown" for one of a newer server.
std::string DescribeObjective(const v1::TrainSpec& spec);

// The request that the options mean. A usage error (exit code 2) for an option
// of another objective than the one chosen, or a part that is none.
absl::StatusOr<v1::TrainSpec> ToTrainSpec(const JobOptions& options);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_JOB_OPTIONS_H_
