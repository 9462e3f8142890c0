#ifndef ATTUNE_WORKER_EVALUATE_SKEW_H_
#define ATTUNE_WORKER_EVALUATE_SKEW_H_

#include <cstdint>
#include <string>
#include <vector>

#include "worker/evaluate/figures.h"

namespace attune::evaluate {

// Concept skew: whether an attribute, such as gender, decides what images are
// taken for. Over the rows that have the attribute:
//   skew_share  of a group: the share assigned to a candidate; candidates that
//               no row is assigned to are left out, and of more than 1,000
//               shares the candidates with the fewest rows
//   skew_gap    the largest difference between two groups in the share of one
//               candidate
//   skew_kl     of a group, and of all rows together: KL(p ‖ uniform) in nats
//               of the distribution p over the candidates
// Intervals resample each group apart. `assigned` is by row; `against` may be
// null.
void AddSkew(const std::vector<int64_t>& assigned,
             const std::vector<int64_t>* against, const Division& division,
             const std::vector<std::string>& candidates,
             const statistics::BootstrapOptions& options,
             const WorkListener& worked, Report& report);

}  // namespace attune::evaluate

#endif  // ATTUNE_WORKER_EVALUATE_SKEW_H_
