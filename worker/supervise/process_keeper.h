#ifndef ATTUNE_WORKER_SUPERVISE_PROCESS_KEEPER_H_
#define ATTUNE_WORKER_SUPERVISE_PROCESS_KEEPER_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "worker/transport/stop_signal.h"

namespace attune::supervise {

// Keeps a child process running until `stop`: one that dies is started again
// after a growing delay. Then ends its orders and, when it has not ended
// within `end_limit`, kills it.
void KeepProcess(const std::vector<std::string>& command,
                 const transport::StopSignal& stop, absl::Duration end_limit);

}  // namespace attune::supervise

#endif  // ATTUNE_WORKER_SUPERVISE_PROCESS_KEEPER_H_
