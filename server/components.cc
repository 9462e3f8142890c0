#include "server/components.h"

#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/grpc/objective_codec.h"
#include "common/status_macros.h"
#include "storage/sqlite/backup.h"
#include "storage/sqlite/sqlite_stores.h"
#include "storage/verification.h"

namespace attune {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
// More running jobs than this do not make the means better.
constexpr int kMaxFigureJobs = 100;

// Means of the running jobs' last rows, by objective.
absl::Status ReadTraining(
    storage::StateTransaction& transaction,
    std::map<std::string, metrics::StateFigures::Training>* training) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<storage::Job> jobs,
                          transaction.jobs().ListInState(
                              storage::JobState::kRunning, kMaxFigureJobs));
  std::map<std::string, int> counts;
  for (const storage::Job& job : jobs) {
    const auto* spec = std::get_if<storage::TrainSpec>(&job.spec);
    if (spec == nullptr || job.step == 0) continue;
    ATTUNE_ASSIGN_OR_RETURN(
        const std::vector<storage::MetricRow> rows,
        transaction.jobs().ListMetrics(job.id, job.step - 1, 1));
    if (rows.empty()) continue;
    const std::string& objective = spec->objective.name;
    metrics::StateFigures::Training& mean = (*training)[objective];
    mean.loss += rows[0].loss.value_or(0);
    mean.pair_accuracy += rows[0].pair_accuracy.value_or(0);
    ++counts[objective];
  }
  for (auto& [objective, mean] : *training) {
    mean.loss /= counts[objective];
    mean.pair_accuracy /= counts[objective];
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Stores> OpenStores(const ServerOptions& options, Clock& clock,
                                  metrics::PrometheusMetrics& metrics) {
  const std::string& data_dir = options.data_dir;
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error) {
    return Error(absl::StatusCode::kFailedPrecondition, "DATA_DIR_UNUSABLE",
                 absl::StrCat("cannot make the data folder ", data_dir, ": ",
                              error.message()));
  }
  ATTUNE_RETURN_IF_ERROR(storage::CheckComplete(data_dir));
  Stores stores;
  ATTUNE_ASSIGN_OR_RETURN(stores.lock, storage::DataDirLock::Acquire(data_dir));
  ATTUNE_ASSIGN_OR_RETURN(stores.disk,
                          storage::DiskSpace::Open(data_dir, options.disk));
  if (options.disk.reserve_bytes > 0 && !stores.disk->reserve_held()) {
    spdlog::warn(
        "no room is kept for the state of jobs: the disk of {} has "
        "{} bytes left, or cannot set any aside",
        data_dir, stores.disk->FreeBytes());
  }
  stores.state_path = absl::StrCat(data_dir, "/state.db");
  stores.blobs_path = absl::StrCat(data_dir, "/blobs.db");
  storage::SqliteOptions sqlite;
  sqlite.clock = &clock;
  sqlite.disk = stores.disk.get();
  sqlite.check = options.check;
  sqlite.on_write = [&metrics](absl::string_view database,
                               absl::Duration duration) {
    metrics.TransactionEnded(database, duration);
  };
  ATTUNE_ASSIGN_OR_RETURN(stores.state,
                          storage::OpenStateStore(stores.state_path, sqlite));
  ATTUNE_ASSIGN_OR_RETURN(stores.blobs,
                          storage::OpenBlobStore(stores.blobs_path, sqlite));
  if (options.check == storage::IntegrityCheck::kFull) {
    ATTUNE_ASSIGN_OR_RETURN(const storage::BlobTotals totals,
                            storage::VerifyBlobs(*stores.state, *stores.blobs));
    spdlog::info("verified {} blobs of {} bytes", totals.count, totals.bytes);
  }
  return stores;
}

Components::Components(const ServerOptions& options, Clock& clock,
                       Stores& stores, metrics::PrometheusMetrics& metrics)
    : stores(stores),
      state(*stores.state),
      blobs(*stores.blobs),
      executor(options.blocking_threads),
      timers(clock),
      signals(metrics),
      leases(clock, options.lease.duration),
      workers(clock, options.lease.duration),
      datasets(state, blobs, clock, workers, leases, signals,
               [this] { garbage.Trigger(); }),
      jobs(state, clock, workers, leases, signals),
      reports(state, blobs, clock, workers, leases, signals, metrics,
              options.lease),
      lease_manager(state, clock, executor, workers, leases, signals, metrics,
                    options.lease),
      garbage(state, blobs, clock, options.garbage),
      models(state, blobs, clock, [this] { garbage.Trigger(); }),
      router(options.router, clock, timers, metrics),
      text_cache(options.text_cache_bytes),
      label_cache(options.label_cache_bytes),
      resolver(state, blobs),
      embedder(router, text_cache, metrics),
      classifier(embedder, label_cache, executor),
      ticker(kTick, [this] {
        if (absl::Status status = lease_manager.Tick(); !status.ok()) {
          spdlog::error("keeping leases failed: {}", status.ToString());
        }
      }) {
  router.SetLoadedListener(
      [this](const std::string& id, std::vector<std::string> versions) {
        workers.SetLoadedVersions(id, std::move(versions));
      });
}

Components::~Components() { executor.Shutdown(); }

metrics::StateFigures Components::ReadFigures() {
  metrics::StateFigures figures;
  for (const ObjectiveSchema& objective : ObjectiveSchemas()) {
    figures.objectives.push_back(objective.name);
  }
  const absl::Status read =
      state.Read([&](storage::StateTransaction& transaction) {
        return ReadTraining(transaction, &figures.training);
      });
  if (!read.ok()) spdlog::warn("reading figures: {}", read.ToString());
  if (const auto counts = jobs.CountByState(); counts.ok()) {
    figures.jobs = *counts;
  }
  figures.workers = workers.List();
  figures.queue_depth = router.QueueDepth();
  figures.loaded_versions = router.LoadedVersions();
  figures.wal_bytes = {{"state", storage::WalBytes(stores.state_path)},
                       {"blobs", storage::WalBytes(stores.blobs_path)}};
  figures.blob_bytes = blobs.TotalBytes().value_or(0);
  figures.disk_free_bytes = stores.disk->FreeBytes();
  figures.disk_reserve_held = stores.disk->reserve_held();
  return figures;
}

}  // namespace attune
