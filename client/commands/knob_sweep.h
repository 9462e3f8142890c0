// A version with a linear head, measured at many settings of its knob.

#ifndef ATTUNE_CLIENT_COMMANDS_KNOB_SWEEP_H_
#define ATTUNE_CLIENT_COMMANDS_KNOB_SWEEP_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/job_service.pb.h"

namespace attune::client {

// "FIRST:LAST:STEP", both ends included, such as "-1:1:0.1", as settings from
// FIRST upwards. A usage error (exit code 2) for what is no such text, and for
// more than 200 settings.
absl::StatusOr<std::vector<double>> ParseKnobSweep(const std::string& text);

// A table with a row for each evaluation: its t, and every figure over all
// examples with its interval.
void PrintKnobCurve(const std::vector<v1::Evaluation>& evaluations,
                    std::ostream& out);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_KNOB_SWEEP_H_
