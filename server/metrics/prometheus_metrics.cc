#include "server/metrics/prometheus_metrics.h"

#include <string>

#include "common/build_info.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "server/core/jobs/job_state.h"

namespace attune::metrics {
namespace {

using ::prometheus::BuildCounter;
using ::prometheus::BuildGauge;
using ::prometheus::BuildHistogram;
using ::prometheus::Counter;
using ::prometheus::Family;
using ::prometheus::Histogram;
using Buckets = Histogram::BucketBoundaries;

// Seconds.
const Buckets& CallBuckets() {
  static const auto& buckets =
      *new Buckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                   0.25,   0.5,   1,      2.5,   5,    10,    30,   60};
  return buckets;
}
const Buckets& WaitBuckets() {
  static const auto& buckets =
      *new Buckets{0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400};
  return buckets;
}
const Buckets& BatchBuckets() {
  static const auto& buckets =
      *new Buckets{1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
  return buckets;
}

double Seconds(absl::Duration duration) {
  return absl::ToDoubleSeconds(duration);
}

}  // namespace

struct PrometheusMetrics::Families {
  explicit Families(prometheus::Registry& registry)
      : calls(BuildCounter()
                  .Name("attune_rpc_requests_total")
                  .Help("Calls that ended, by canonical code")
                  .Register(registry)),
        call_seconds(BuildHistogram()
                         .Name("attune_rpc_duration_seconds")
                         .Help("From the arrival of a call to its end")
                         .Register(registry)),
        moves(BuildCounter()
                  .Name("attune_job_transitions_total")
                  .Help("Changes of state of jobs and validations")
                  .Register(registry)),
        task_seconds(BuildHistogram()
                         .Name("attune_task_queue_seconds")
                         .Help("Time of a task in the queue before its lease")
                         .Register(registry)
                         .Add({}, WaitBuckets())),
        expirations(BuildCounter()
                        .Name("attune_lease_expirations_total")
                        .Help("Leases whose worker was not heard of in time")
                        .Register(registry)
                        .Add({})),
        unusable_checkpoints(
            BuildCounter()
                .Name("attune_unusable_checkpoints_total")
                .Help("Checkpoints that a worker could not go on from")
                .Register(registry)
                .Add({})),
        steps(BuildCounter()
                  .Name("attune_train_steps_total")
                  .Help("Optimizer steps that workers reported")
                  .Register(registry)
                  .Add({})),
        examples(BuildCounter()
                     .Name("attune_train_examples_total")
                     .Help("Examples in the steps that workers reported")
                     .Register(registry)
                     .Add({})),
        batch_size(BuildHistogram()
                       .Name("attune_inference_batch_size")
                       .Help("Inputs in a batch that was sent to a worker")
                       .Register(registry)
                       .Add({}, BatchBuckets())),
        item_seconds(BuildHistogram()
                         .Name("attune_inference_queue_seconds")
                         .Help("Time of an input in the queue before a batch")
                         .Register(registry)
                         .Add({}, CallBuckets())),
        forward_seconds(BuildHistogram()
                            .Name("attune_inference_forward_seconds")
                            .Help("Time of a worker for a batch")
                            .Register(registry)),
        rejected(BuildCounter()
                     .Name("attune_inference_rejected_total")
                     .Help("Inputs that were refused or dropped")
                     .Register(registry)),
        cache_lookups(BuildCounter()
                          .Name("attune_text_cache_lookups_total")
                          .Help("Texts looked up in the embedding cache")
                          .Register(registry)),
        transaction_seconds(BuildHistogram()
                                .Name("attune_sqlite_transaction_seconds")
                                .Help("Time of a writing transaction")
                                .Register(registry)) {
    BuildGauge()
        .Name("attune_build_info")
        .Help("Always 1; version and commit of the server")
        .Register(registry)
        .Add({{"version", std::string(BuildVersion())},
              {"commit", std::string(BuildCommit())}})
        .Set(1);
    // Series that exist from the start can be rated from the first event on.
    for (const char* reason : {"queue_full", "expired", "cancelled",
                               "not_served", "worker_lost", "draining"}) {
      rejected.Add({{"reason", reason}});
    }
    for (const char* result : {"hit", "miss"}) {
      cache_lookups.Add({{"result", result}});
    }
    for (const char* database : {"state", "blobs"}) {
      transaction_seconds.Add({{"database", database}}, CallBuckets());
    }
  }

  Family<Counter>& calls;
  Family<Histogram>& call_seconds;
  Family<Counter>& moves;
  Histogram& task_seconds;
  Counter& expirations;
  Counter& unusable_checkpoints;
  Counter& steps;
  Counter& examples;
  Histogram& batch_size;
  Histogram& item_seconds;
  Family<Histogram>& forward_seconds;
  Family<Counter>& rejected;
  Family<Counter>& cache_lookups;
  Family<Histogram>& transaction_seconds;
};

PrometheusMetrics::PrometheusMetrics()
    : registry_(std::make_shared<prometheus::Registry>()),
      families_(std::make_unique<Families>(*registry_)) {}

PrometheusMetrics::~PrometheusMetrics() = default;

void PrometheusMetrics::CallEnded(absl::string_view service,
                                  absl::string_view method,
                                  absl::string_view code,
                                  absl::Duration duration) {
  const std::string service_name(service);
  const std::string method_name(method);
  families_->calls
      .Add({{"service", service_name},
            {"method", method_name},
            {"code", std::string(code)}})
      .Increment();
  families_->call_seconds
      .Add({{"service", service_name}, {"method", method_name}}, CallBuckets())
      .Observe(Seconds(duration));
}

void PrometheusMetrics::JobMoved(storage::JobState from, storage::JobState to) {
  families_->moves
      .Add({{"from", std::string(core::JobStateName(from))},
            {"to", std::string(core::JobStateName(to))}})
      .Increment();
}

void PrometheusMetrics::TaskLeased(absl::Duration queued) {
  families_->task_seconds.Observe(Seconds(queued));
}

void PrometheusMetrics::LeaseExpired() { families_->expirations.Increment(); }

void PrometheusMetrics::CheckpointsUnusable(int64_t count) {
  families_->unusable_checkpoints.Increment(static_cast<double>(count));
}

void PrometheusMetrics::TrainProgress(int64_t steps, int64_t examples) {
  families_->steps.Increment(static_cast<double>(steps));
  families_->examples.Increment(static_cast<double>(examples));
}

void PrometheusMetrics::BatchSent(int64_t items) {
  families_->batch_size.Observe(static_cast<double>(items));
}

void PrometheusMetrics::ItemQueued(absl::Duration queued) {
  families_->item_seconds.Observe(Seconds(queued));
}

void PrometheusMetrics::BatchAnswered(absl::string_view device,
                                      absl::Duration forward_time) {
  families_->forward_seconds
      .Add({{"device", std::string(device)}}, CallBuckets())
      .Observe(Seconds(forward_time));
}

void PrometheusMetrics::InferenceRejected(absl::string_view reason,
                                          int64_t items) {
  families_->rejected.Add({{"reason", std::string(reason)}})
      .Increment(static_cast<double>(items));
}

void PrometheusMetrics::TextCacheLookups(int64_t hits, int64_t misses) {
  families_->cache_lookups.Add({{"result", "hit"}})
      .Increment(static_cast<double>(hits));
  families_->cache_lookups.Add({{"result", "miss"}})
      .Increment(static_cast<double>(misses));
}

void PrometheusMetrics::TransactionEnded(absl::string_view database,
                                         absl::Duration duration) {
  families_->transaction_seconds
      .Add({{"database", std::string(database)}}, CallBuckets())
      .Observe(Seconds(duration));
}

}  // namespace attune::metrics
