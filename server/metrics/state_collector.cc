#include "server/metrics/state_collector.h"

#include <limits>

#include "server/core/jobs/job_state.h"

namespace attune::metrics {
namespace {

using ::prometheus::ClientMetric;
using ::prometheus::MetricFamily;
using Labels = std::vector<ClientMetric::Label>;

MetricFamily Gauges(const char* name, const char* help) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = prometheus::MetricType::Gauge;
  return family;
}

void Add(MetricFamily& family, Labels labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  family.metric.push_back(std::move(metric));
}

MetricFamily Jobs(const StateFigures& figures) {
  MetricFamily family = Gauges("attune_jobs", "Jobs and validations, by state");
  // All states, so that a series does not vanish when its last job leaves.
  for (int i = static_cast<int>(storage::JobState::kQueued);
       i <= static_cast<int>(storage::JobState::kCancelled); ++i) {
    const auto state = static_cast<storage::JobState>(i);
    const auto found = figures.jobs.find(state);
    Add(family, {{"state", std::string(core::JobStateName(state))}},
        found == figures.jobs.end() ? 0 : static_cast<double>(found->second));
  }
  return family;
}

MetricFamily Workers(const StateFigures& figures) {
  const std::map<core::WorkerState, std::string> states = {
      {core::WorkerState::kIdle, "idle"},
      {core::WorkerState::kBusy, "busy"},
      {core::WorkerState::kLost, "lost"}};
  std::map<std::pair<std::string, std::string>, int64_t> counts;
  for (const auto& [state, name] : states) {
    for (const char* device : {"cpu", "cuda"}) counts[{name, device}] = 0;
  }
  for (const core::Worker& worker : figures.workers) {
    ++counts[{states.at(worker.state), worker.device.kind}];
  }
  MetricFamily family =
      Gauges("attune_workers", "Workers, by state and kind of device");
  for (const auto& [labels, count] : counts) {
    Add(family, {{"state", labels.first}, {"device", labels.second}},
        static_cast<double>(count));
  }
  return family;
}

void AddTraining(const StateFigures& figures,
                 std::vector<MetricFamily>* families) {
  MetricFamily loss = Gauges("attune_train_loss",
                             "Mean loss of the running jobs' last steps; NaN "
                             "without one");
  MetricFamily accuracy =
      Gauges("attune_train_pair_accuracy",
             "Mean pair accuracy of the running jobs' last steps; NaN without "
             "one");
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  for (const std::string& objective : figures.objectives) {
    const auto found = figures.training.find(objective);
    const bool running = found != figures.training.end();
    const Labels labels = {{"objective", objective}};
    Add(loss, labels, running ? found->second.loss : kNone);
    Add(accuracy, labels, running ? found->second.pair_accuracy : kNone);
  }
  families->push_back(std::move(loss));
  families->push_back(std::move(accuracy));
}

MetricFamily Loaded(const StateFigures& figures) {
  MetricFamily family = Gauges("attune_model_loaded_info",
                               "1 for each version that a worker has loaded");
  for (const std::string& name : figures.loaded_versions) {
    const size_t colon = name.rfind(':');
    Add(family,
        {{"model", name.substr(0, colon)}, {"version", name.substr(colon + 1)}},
        1);
  }
  return family;
}

}  // namespace

std::vector<MetricFamily> StateCollector::Collect() const {
  const StateFigures figures = read_();
  std::vector<MetricFamily> families;
  families.push_back(Jobs(figures));
  families.push_back(Workers(figures));
  AddTraining(figures, &families);
  families.push_back(Loaded(figures));
  MetricFamily depth =
      Gauges("attune_inference_queue_depth", "Inputs that wait for a batch");
  Add(depth, {}, static_cast<double>(figures.queue_depth));
  families.push_back(std::move(depth));
  MetricFamily wal =
      Gauges("attune_sqlite_wal_bytes", "Size of a database's write-ahead log");
  for (const auto& [database, bytes] : figures.wal_bytes) {
    Add(wal, {{"database", database}}, static_cast<double>(bytes));
  }
  families.push_back(std::move(wal));
  MetricFamily blobs = Gauges("attune_blob_bytes", "Bytes of all blobs");
  Add(blobs, {}, static_cast<double>(figures.blob_bytes));
  families.push_back(std::move(blobs));
  MetricFamily free = Gauges("attune_disk_free_bytes",
                             "Free bytes of the data folder's disk; -1 where "
                             "it cannot be asked");
  Add(free, {}, static_cast<double>(figures.disk_free_bytes));
  families.push_back(std::move(free));
  MetricFamily reserve =
      Gauges("attune_disk_reserve_held",
             "1 while room is kept for the state of jobs, 0 once it had to be "
             "given up");
  Add(reserve, {}, figures.disk_reserve_held ? 1 : 0);
  families.push_back(std::move(reserve));
  return families;
}

}  // namespace attune::metrics
