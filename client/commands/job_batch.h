#ifndef ATTUNE_CLIENT_COMMANDS_JOB_BATCH_H_
#define ATTUNE_CLIENT_COMMANDS_JOB_BATCH_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/attune_client.h"
#include "client/commands/progress.h"

namespace attune::client {

// Queues all jobs, or none: those that were made are cancelled when the server
// refuses one, and its refusal is returned.
absl::StatusOr<std::vector<v1::Job>> CreateAllJobs(
    AttuneClient& client, const std::vector<v1::CreateJobRequest>& requests);

// Shows a job on `line` until it ends and returns it.
absl::StatusOr<v1::Job> WaitForJob(AttuneClient& client, ProgressLine& line,
                                   const std::string& id);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_JOB_BATCH_H_
