#include "worker/transport/metrics_reporter.h"

#include <utility>

#include "worker/transport/retry.h"

namespace attune::transport {

MetricsReporter::MetricsReporter(ServerConnection& connection,
                                 std::string lease_token, Options options)
    : connection_(connection),
      lease_token_(std::move(lease_token)),
      options_(options),
      thread_([this] { Run(); }) {}

MetricsReporter::~MetricsReporter() {
  {
    TimedMutexLock lock(&mutex_);
    ending_ = true;
  }
  thread_.join();
}

void MetricsReporter::SetTotalSteps(int64_t total_steps) {
  TimedMutexLock lock(&mutex_);
  total_steps_ = total_steps;
}

void MetricsReporter::Add(v1::MetricRow row) {
  TimedMutexLock lock(&mutex_);
  if (!status_.ok()) return;
  rows_.push_back(std::move(row));
  ++added_;
}

void MetricsReporter::AddNote(std::string note) {
  TimedMutexLock lock(&mutex_);
  if (!status_.ok()) return;
  notes_.push_back(std::move(note));
  ++added_;
}

absl::Status MetricsReporter::Flush() {
  TimedMutexLock lock(&mutex_);
  const int64_t goal = added_;
  ++flushes_;
  const auto done = [this, goal]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stored_ >= goal || !status_.ok();
  };
  mutex_.Await(absl::Condition(&done));
  --flushes_;
  return status_;
}

absl::Status MetricsReporter::status() const {
  TimedMutexLock lock(&mutex_);
  return status_;
}

bool MetricsReporter::Due() const {
  return ending_ || (flushes_ > 0 && !Empty()) ||
         static_cast<int>(rows_.size()) >= options_.max_rows;
}

bool MetricsReporter::AwaitDue() {
  const auto started = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return ending_ || !Empty();
  };
  mutex_.Await(absl::Condition(&started));
  const auto due = [this]()
                       ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return Due(); };
  mutex_.AwaitWithTimeout(absl::Condition(&due), options_.interval);
  return !ending_;
}

void MetricsReporter::Run() {
  TimedMutexLock lock(&mutex_);
  while (AwaitDue()) {
    v1::ReportMetricsRequest request;
    request.set_lease_token(lease_token_);
    request.set_total_steps(total_steps_);
    while (!rows_.empty() && request.rows_size() < options_.max_rows) {
      *request.add_rows() = std::move(rows_.front());
      rows_.pop_front();
    }
    while (!notes_.empty() && request.notes_size() < options_.max_notes) {
      request.add_notes(std::move(notes_.front()));
      notes_.pop_front();
    }
    mutex_.Unlock();
    const absl::Status sent = Retry(connection_.stop(), "ReportMetrics", [&] {
      return connection_.ReportMetrics(request);
    });
    mutex_.Lock();
    stored_ += request.rows_size() + request.notes_size();
    if (!sent.ok()) {
      status_ = sent;
      rows_.clear();
      notes_.clear();
      return;
    }
  }
}

}  // namespace attune::transport
