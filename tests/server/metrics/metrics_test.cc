#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/metrics/exposer.h"
#include "server/metrics/prometheus_metrics.h"
#include "server/metrics/state_collector.h"

namespace attune::metrics {
namespace {

using ::prometheus::ClientMetric;
using ::prometheus::MetricFamily;
using Labels = std::map<std::string, std::string>;

// The metric with exactly these labels; fails the test without it.
ClientMetric Find(const std::vector<MetricFamily>& families,
                  const std::string& name, const Labels& labels) {
  for (const MetricFamily& family : families) {
    if (family.name != name) continue;
    for (const ClientMetric& metric : family.metric) {
      Labels found;
      for (const auto& label : metric.label) found[label.name] = label.value;
      if (found == labels) return metric;
    }
  }
  ADD_FAILURE() << "no " << name << " with these labels";
  return {};
}

TEST(PrometheusMetricsTest, CallsAreCountedByCode) {
  PrometheusMetrics metrics;
  metrics.CallEnded("ModelService", "GetModel", "OK", absl::Milliseconds(2));
  metrics.CallEnded("ModelService", "GetModel", "OK", absl::Milliseconds(3));
  metrics.CallEnded("ModelService", "GetModel", "NOT_FOUND",
                    absl::Milliseconds(1));
  const auto families = metrics.registry()->Collect();
  EXPECT_EQ(
      Find(
          families, "attune_rpc_requests_total",
          {{"service", "ModelService"}, {"method", "GetModel"}, {"code", "OK"}})
          .counter.value,
      2);
  const auto& histogram =
      Find(families, "attune_rpc_duration_seconds",
           {{"service", "ModelService"}, {"method", "GetModel"}})
          .histogram;
  EXPECT_EQ(histogram.sample_count, 3u);
  EXPECT_NEAR(histogram.sample_sum, 0.006, 1e-9);
}

TEST(PrometheusMetricsTest, UnusableCheckpointsAreCounted) {
  PrometheusMetrics metrics;
  metrics.CheckpointsUnusable(2);
  EXPECT_EQ(Find(metrics.registry()->Collect(),
                 "attune_unusable_checkpoints_total", {})
                .counter.value,
            2);
}

TEST(PrometheusMetricsTest, EventsOfServingAndTrainingAreCounted) {
  PrometheusMetrics metrics;
  metrics.BatchSent(12);
  metrics.BatchAnswered("cuda", absl::Milliseconds(40));
  metrics.InferenceRejected("queue_full", 5);
  metrics.TextCacheLookups(3, 1);
  metrics.JobMoved(storage::JobState::kQueued, storage::JobState::kRunning);
  metrics.TrainProgress(10, 320);
  metrics.TransactionEnded("state", absl::Milliseconds(1));
  const auto families = metrics.registry()->Collect();
  EXPECT_EQ(
      Find(families, "attune_inference_batch_size", {}).histogram.sample_sum,
      12);
  EXPECT_EQ(
      Find(families, "attune_inference_forward_seconds", {{"device", "cuda"}})
          .histogram.sample_count,
      1u);
  EXPECT_EQ(Find(families, "attune_inference_rejected_total",
                 {{"reason", "queue_full"}})
                .counter.value,
            5);
  EXPECT_EQ(
      Find(families, "attune_text_cache_lookups_total", {{"result", "hit"}})
          .counter.value,
      3);
  EXPECT_EQ(Find(families, "attune_job_transitions_total",
                 {{"from", "queued"}, {"to", "running"}})
                .counter.value,
            1);
  EXPECT_EQ(Find(families, "attune_train_examples_total", {}).counter.value,
            320);
  EXPECT_EQ(Find(families, "attune_sqlite_transaction_seconds",
                 {{"database", "state"}})
                .histogram.sample_count,
            1u);
}

TEST(StateCollectorTest, EveryStateHasASeries) {
  StateCollector collector([] {
    StateFigures figures;
    figures.jobs[storage::JobState::kRunning] = 2;
    core::Worker worker;
    worker.state = core::WorkerState::kBusy;
    worker.device.kind = "cuda";
    figures.workers = {worker};
    figures.objectives = {"dpo", "infonce"};
    figures.training["dpo"] = {.loss = 0.5, .pair_accuracy = 0.75};
    figures.queue_depth = 7;
    figures.loaded_versions = {"robust:2"};
    figures.wal_bytes = {{"state", 100}, {"blobs", 200}};
    figures.blob_bytes = 300;
    return figures;
  });
  const auto families = collector.Collect();
  EXPECT_EQ(Find(families, "attune_jobs", {{"state", "running"}}).gauge.value,
            2);
  EXPECT_EQ(Find(families, "attune_jobs", {{"state", "failed"}}).gauge.value,
            0);
  EXPECT_EQ(
      Find(families, "attune_workers", {{"state", "busy"}, {"device", "cuda"}})
          .gauge.value,
      1);
  EXPECT_EQ(
      Find(families, "attune_workers", {{"state", "lost"}, {"device", "cpu"}})
          .gauge.value,
      0);
  EXPECT_EQ(
      Find(families, "attune_train_loss", {{"objective", "dpo"}}).gauge.value,
      0.5);
  EXPECT_TRUE(std::isnan(
      Find(families, "attune_train_pair_accuracy", {{"objective", "infonce"}})
          .gauge.value));
  EXPECT_EQ(Find(families, "attune_inference_queue_depth", {}).gauge.value, 7);
  EXPECT_EQ(Find(families, "attune_model_loaded_info",
                 {{"model", "robust"}, {"version", "2"}})
                .gauge.value,
            1);
  EXPECT_EQ(Find(families, "attune_sqlite_wal_bytes", {{"database", "blobs"}})
                .gauge.value,
            200);
  EXPECT_EQ(Find(families, "attune_blob_bytes", {}).gauge.value, 300);
}

TEST(ExposerTest, FreePortIsNamedAndATakenOneIsUnavailable) {
  PrometheusMetrics metrics;
  const auto first = Exposer::Start("127.0.0.1:0", {metrics.registry()});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_NE((*first)->address(), "127.0.0.1:0");
  const auto second = Exposer::Start((*first)->address(), {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace attune::metrics
