// Datasets, jobs and leases over in-memory databases, with a clock that the
// test moves.

#ifndef ATTUNE_TESTS_SERVER_CORE_JOBS_FIXTURE_H_
#define ATTUNE_TESTS_SERVER_CORE_JOBS_FIXTURE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "gtest/gtest.h"
#include "server/core/datasets/dataset_manager.h"
#include "server/core/executor.h"
#include "server/core/jobs/job_manager.h"
#include "server/core/jobs/job_signals.h"
#include "server/core/leases/lease_manager.h"
#include "server/core/leases/task_reports.h"
#include "server/core/leases/worker_registry.h"
#include "storage/blob_store.h"
#include "storage/state_store.h"

namespace attune::core {

// A PNG whose header is good; other `content`, another digest.
std::string FakePng(absl::string_view content);

ExampleInput Pair(absl::string_view image, absl::string_view preferred,
                  absl::string_view rejected);
ExampleInput Clean(absl::string_view image);
ExampleInput Labelled(absl::string_view image, absl::string_view label,
                      absl::string_view attack = "");
ExampleInput Caption(absl::string_view image, absl::string_view caption);

// Counts what is reported.
class CountingMetrics : public Metrics {
 public:
  void JobMoved(storage::JobState, storage::JobState) override { ++moves; }
  void LeaseExpired() override { ++expirations; }
  void CheckpointsUnusable(int64_t count) override { unusable += count; }
  void TaskLeased(absl::Duration duration) override { queued = duration; }
  void TrainProgress(int64_t new_steps, int64_t new_examples) override {
    steps += new_steps;
    examples += new_examples;
  }

  int moves = 0;
  int expirations = 0;
  int64_t unusable = 0;
  absl::Duration queued;
  int64_t steps = 0;
  int64_t examples = 0;
};

// An objective of attune.v1.TrainSpec; options that are not given stay unset.
ObjectiveRequest Objective(absl::string_view name,
                           ObjectiveValues options = {});

class JobsFixture : public testing::Test {
 protected:
  static constexpr int kContextLength = 16;

  JobsFixture();
  ~JobsFixture() override;

  // A version with three small tensors whose blobs are stored, and perhaps a
  // linear head.
  storage::Version AddBase(const std::string& model = "base",
                           bool head = false);
  // Three tensors like the base's, filled with `value` and stored.
  storage::TensorManifest StoreTensors(float value);
  // Those and a linear head.
  storage::TensorManifest WithHead(storage::TensorManifest manifest);

  absl::StatusOr<int64_t> Upload(absl::string_view dataset,
                                 std::vector<ExampleInput> examples,
                                 const RequestKey& key = {});
  // Creates, uploads, seals and validates.
  void MakeSealed(absl::string_view name, std::vector<ExampleInput> examples);
  // Pairs and a clean example.
  void MakePreferences(absl::string_view name = "rta");

  // DPO on "rta" from "base" to "robust".
  static TrainRequest DpoOnRta();
  // Creates the job; fails the test when it is refused.
  storage::Job CreateDpoJob();

  void AddWorker(absl::string_view id = "w1");
  // Asks for a task without waiting.
  absl::StatusOr<std::optional<LeasedTask>> AskForTask(
      absl::string_view worker = "w1");
  // The same for a test that needs one.
  LeasedTask Lease(absl::string_view worker = "w1");
  // Runs what the executor has been given so far.
  void RunExecutor();

  storage::Job JobById(absl::string_view id);
  std::vector<std::string> Events(absl::string_view id);
  // Everything in the databases, to show that nothing changed.
  std::string Everything();

  FakeClock clock_;
  CountingMetrics metrics_;
  std::unique_ptr<storage::StateStore> state_;
  std::unique_ptr<storage::BlobStore> blobs_;
  // One thread: what is submitted runs in its order.
  Executor executor_{1};
  LeaseOptions options_;
  WorkerRegistry workers_{clock_, options_.duration};
  LeaseTable table_{clock_, options_.duration};
  JobSignals signals_{metrics_};
  std::unique_ptr<LeaseManager> leases_;
  std::unique_ptr<JobManager> jobs_;
  std::unique_ptr<DatasetManager> datasets_;
  std::unique_ptr<TaskReports> reports_;
};

}  // namespace attune::core

#endif  // ATTUNE_TESTS_SERVER_CORE_JOBS_FIXTURE_H_
