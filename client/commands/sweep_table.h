#ifndef ATTUNE_CLIENT_COMMANDS_SWEEP_TABLE_H_
#define ATTUNE_CLIENT_COMMANDS_SWEEP_TABLE_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "attune/v1/job_service.pb.h"
#include "client/commands/context.h"

namespace attune::client {

// What one job of a sweep came to; the base is a row without values.
struct SweepRow {
  std::vector<std::pair<std::string, std::string>> values;
  std::string job_id;
  // The version that was measured, as NAME:N; empty when the job did not
  // succeed.
  std::string version;
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  std::map<std::string, double> figures;
};

// Whether no other row is as good in both clean and robust figures and better
// in one; false for rows without them. Clean is clean_top1; robust is
// attacked_top1, else pair_accuracy.
std::vector<bool> OnFront(const std::vector<SweepRow>& rows);

enum class SweepFormat { kText, kJson, kCsv };

// Prints a row a job, the swept options first, then the figures, and whether
// the row is on the front.
void PrintSweep(const std::vector<SweepRow>& rows, SweepFormat format,
                std::ostream& out);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_SWEEP_TABLE_H_
