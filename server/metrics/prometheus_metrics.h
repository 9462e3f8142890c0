#ifndef ATTUNE_SERVER_METRICS_PROMETHEUS_METRICS_H_
#define ATTUNE_SERVER_METRICS_PROMETHEUS_METRICS_H_

#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "prometheus/registry.h"
#include "server/core/metrics.h"

namespace attune::metrics {

// Counters and histograms of events, under the names of docs/architecture.md.
// Thread-safe.
class PrometheusMetrics final : public core::Metrics {
 public:
  PrometheusMetrics();
  ~PrometheusMetrics() override;

  void CallEnded(absl::string_view service, absl::string_view method,
                 absl::string_view code, absl::Duration duration) override;
  void JobMoved(storage::JobState from, storage::JobState to) override;
  void TaskLeased(absl::Duration queued) override;
  void LeaseExpired() override;
  void CheckpointsUnusable(int64_t count) override;
  void TrainProgress(int64_t steps, int64_t examples) override;
  void BatchSent(int64_t items) override;
  void ItemQueued(absl::Duration queued) override;
  void BatchAnswered(absl::string_view device,
                     absl::Duration forward_time) override;
  void InferenceRejected(absl::string_view reason, int64_t items) override;
  void TextCacheLookups(int64_t hits, int64_t misses) override;

  // A writing transaction of "state" or "blobs" took this long.
  void TransactionEnded(absl::string_view database, absl::Duration duration);

  const std::shared_ptr<prometheus::Registry>& registry() const {
    return registry_;
  }

 private:
  struct Families;

  const std::shared_ptr<prometheus::Registry> registry_;
  const std::unique_ptr<Families> families_;
};

}  // namespace attune::metrics

#endif  // ATTUNE_SERVER_METRICS_PROMETHEUS_METRICS_H_
