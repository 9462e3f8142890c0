#ifndef ATTUNE_WORKER_TRANSPORT_METRICS_REPORTER_H_
#define ATTUNE_WORKER_TRANSPORT_METRICS_REPORTER_H_

#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "attune/v1/job_service.pb.h"
#include "common/timed_mutex.h"
#include "worker/transport/server_connection.h"

namespace attune::transport {

// Sends metric rows in batches from a thread of its own: when 1,000 wait or
// the oldest has waited for the interval. While the server cannot be reached
// rows are kept and sent later. Thread-safe.
class MetricsReporter {
 public:
  struct Options {
    absl::Duration interval = absl::Seconds(1);
    // The server takes no more in one call.
    int max_rows = 1'000;
    int max_notes = 100;
  };

  MetricsReporter(ServerConnection& connection, std::string lease_token,
                  Options options);
  // Drops what has not been sent; call Flush first where it counts. Waits for
  // the call in progress.
  ~MetricsReporter();
  MetricsReporter(const MetricsReporter&) = delete;
  MetricsReporter& operator=(const MetricsReporter&) = delete;

  // Sent with every batch from now on.
  void SetTotalSteps(int64_t total_steps);

  void Add(v1::MetricRow row);

  // A sentence for the job's events, sent as rows are.
  void AddNote(std::string note);

  // Waits until every row and note added so far is stored, or until an error;
  // what is added meanwhile does not count.
  absl::Status Flush();

  // The error that ended reporting, such as LEASE_LOST; OK while it works.
  absl::Status status() const;

 private:
  void Run();
  bool Empty() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return rows_.empty() && notes_.empty();
  }
  bool Due() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits until rows are due; false when it is time to end.
  bool AwaitDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  ServerConnection& connection_;
  const std::string lease_token_;
  const Options options_;
  mutable TimedMutex mutex_;
  std::deque<v1::MetricRow> rows_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> notes_ ABSL_GUARDED_BY(mutex_);
  int64_t total_steps_ ABSL_GUARDED_BY(mutex_) = 0;
  // Rows and notes, ever.
  int64_t added_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t stored_ ABSL_GUARDED_BY(mutex_) = 0;
  // Calls of Flush that wait.
  int flushes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace attune::transport

#endif  // ATTUNE_WORKER_TRANSPORT_METRICS_REPORTER_H_
