#ifndef ATTUNE_SERVER_METRICS_STATE_COLLECTOR_H_
#define ATTUNE_SERVER_METRICS_STATE_COLLECTOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"
#include "server/core/leases/worker_registry.h"
#include "storage/records.h"

namespace attune::metrics {

// What a scrape shows of the server's state at that moment.
struct StateFigures {
  std::map<storage::JobState, int64_t> jobs;  // absent: none
  std::vector<core::Worker> workers;
  // All objectives ("dpo" …): each has a series.
  std::vector<std::string> objectives;
  // Of the running jobs' last steps, by objective: the means of loss and pair
  // accuracy; an objective without a running job is absent.
  struct Training {
    double loss = 0;
    double pair_accuracy = 0;
  };
  std::map<std::string, Training> training;
  int64_t queue_depth = 0;
  std::vector<std::string> loaded_versions;  // NAME:N, distinct
  std::map<std::string, int64_t> wal_bytes;  // by database
  int64_t blob_bytes = 0;
  int64_t disk_free_bytes = -1;  // -1 where it is not known
  bool disk_reserve_held = false;
};

// Gauges read when they are scraped.
class StateCollector final : public prometheus::Collectable {
 public:
  // `read` is called for each scrape, on the exposer's threads; it may block
  // for as long as a scrape may take.
  explicit StateCollector(std::function<StateFigures()> read)
      : read_(std::move(read)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::function<StateFigures()> read_;
};

}  // namespace attune::metrics

#endif  // ATTUNE_SERVER_METRICS_STATE_COLLECTOR_H_
