#ifndef ATTUNE_SERVER_COMPONENTS_H_
#define ATTUNE_SERVER_COMPONENTS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "server/core/datasets/dataset_manager.h"
#include "server/core/executor.h"
#include "server/core/garbage_collector.h"
#include "server/core/inference/classifier.h"
#include "server/core/inference/embedder.h"
#include "server/core/inference/router.h"
#include "server/core/inference/text_cache.h"
#include "server/core/jobs/job_manager.h"
#include "server/core/jobs/job_signals.h"
#include "server/core/leases/lease_manager.h"
#include "server/core/leases/lease_table.h"
#include "server/core/leases/task_reports.h"
#include "server/core/leases/worker_registry.h"
#include "server/core/models/model_registry.h"
#include "server/core/models/version_resolver.h"
#include "server/core/models/watched_state_store.h"
#include "server/core/ticker.h"
#include "server/core/timers.h"
#include "server/metrics/prometheus_metrics.h"
#include "server/metrics/state_collector.h"
#include "server/server.h"
#include "storage/blob_store.h"
#include "storage/data_dir_lock.h"
#include "storage/disk_space.h"
#include "storage/state_store.h"

namespace attune {

// What a data folder needs open: the lock and the two stores.
struct Stores {
  std::unique_ptr<storage::DataDirLock> lock;
  std::unique_ptr<storage::DiskSpace> disk;
  std::unique_ptr<storage::StateStore> state;
  std::unique_ptr<storage::BlobStore> blobs;
  std::string state_path;
  std::string blobs_path;
};

// Makes the folder when it is missing. The errors of DataDirLock, of the stores
// and of the check that `options` ask for; FAILED_PRECONDITION, reason
// INCOMPLETE_COPY, for a backup or restore that was cut off. `metrics` outlives
// the stores.
absl::StatusOr<Stores> OpenStores(const ServerOptions& options, Clock& clock,
                                  metrics::PrometheusMetrics& metrics);

// Everything behind the services, in the order in which it is made: each part
// uses only those before it.
struct Components {
  // The arguments outlive the components.
  Components(const ServerOptions& options, Clock& clock, Stores& stores,
             metrics::PrometheusMetrics& metrics);

  // What a scrape shows.
  metrics::StateFigures ReadFigures();

  // Ends the executor's work first: it uses all the rest.
  ~Components();

  Stores& stores;
  core::WatchedStateStore state;
  storage::BlobStore& blobs;
  core::Executor executor;
  core::ThreadTimers timers;

  // datasets and jobs
  core::JobSignals signals;
  core::LeaseTable leases;
  core::WorkerRegistry workers;
  core::DatasetManager datasets;
  core::JobManager jobs;
  core::TaskReports reports;
  core::LeaseManager lease_manager;

  // models and inference
  core::GarbageCollector garbage;
  core::ModelRegistry models;
  core::Router router;
  core::TextCache text_cache;
  core::TextCache label_cache;
  core::VersionResolver resolver;
  core::Embedder embedder;
  core::Classifier classifier;

  core::Ticker ticker;
};

}  // namespace attune

#endif  // ATTUNE_SERVER_COMPONENTS_H_
