#ifndef ATTUNE_CLIENT_COMMANDS_EVALUATION_TABLE_H_
#define ATTUNE_CLIENT_COMMANDS_EVALUATION_TABLE_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "attune/v1/job_service.pb.h"
#include "client/commands/context.h"

namespace attune::client {

// How evaluations are printed.
struct EvaluationFormat {
  // Also the tables by class, group and candidate. CSV and JSON have them in
  // any case.
  bool tables = false;
  bool csv = false;
};

// Adds --tables and --csv.
void AddEvaluationFormat(CLI::App& command, EvaluationFormat& format);

// A usage error for --csv beside --output json.
absl::Status CheckEvaluationFormat(const CommandContext& context,
                                   const EvaluationFormat& format);

// "robust:1", or "robust:1 t=0.5" of a version with a linear head.
std::string MeasuredVersion(const v1::Evaluation& evaluation);

// Each evaluation as JSON on a line, all of them as one CSV file with a row a
// figure, or as text.
void PrintEvaluations(CommandContext& context, const EvaluationFormat& format,
                      const std::vector<v1::Evaluation>& evaluations);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_EVALUATION_TABLE_H_
