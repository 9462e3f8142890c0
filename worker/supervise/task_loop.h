#ifndef ATTUNE_WORKER_SUPERVISE_TASK_LOOP_H_
#define ATTUNE_WORKER_SUPERVISE_TASK_LOOP_H_

#include <string>

#include "worker/supervise/task_supervisor.h"
#include "worker/transport/server_connection.h"

namespace attune::supervise {

// Leases tasks one after the other and has `supervisor` run them, until the
// connection's stop signal comes. While the server cannot be reached, or
// refuses, it tries again with growing delays.
void RunTaskLoop(transport::ServerConnection& connection,
                 const std::string& worker_id, TaskSupervisor& supervisor);

}  // namespace attune::supervise

#endif  // ATTUNE_WORKER_SUPERVISE_TASK_LOOP_H_
