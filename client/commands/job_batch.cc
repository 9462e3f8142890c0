#include "client/commands/job_batch.h"

#include <utility>

#include "client/commands/job_progress.h"

namespace attune::client {

absl::StatusOr<std::vector<v1::Job>> CreateAllJobs(
    AttuneClient& client, const std::vector<v1::CreateJobRequest>& requests) {
  std::vector<v1::Job> jobs;
  for (const v1::CreateJobRequest& request : requests) {
    absl::StatusOr<v1::Job> job = client.CreateJob(request);
    if (job.ok()) {
      jobs.push_back(*std::move(job));
      continue;
    }
    for (const v1::Job& made : jobs) {
      v1::CancelJobRequest cancel;
      cancel.set_id(made.id());
      // The refusal is what is told.
      client.CancelJob(cancel).IgnoreError();
    }
    return job.status();
  }
  return jobs;
}

absl::StatusOr<v1::Job> WaitForJob(AttuneClient& client, ProgressLine& line,
                                   const std::string& id) {
  JobProgress progress(line);
  return client.WatchJob(id, [&](const v1::WatchJobResponse& message) {
    progress.Update(message);
    return absl::OkStatus();
  });
}

}  // namespace attune::client
