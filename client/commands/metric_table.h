#ifndef ATTUNE_CLIENT_COMMANDS_METRIC_TABLE_H_
#define ATTUNE_CLIENT_COMMANDS_METRIC_TABLE_H_

#include <memory>

#include "attune/v1/job_service.pb.h"
#include "client/commands/context.h"

namespace attune::client {

// Prints the metric rows of a job.
class MetricPrinter {
 public:
  virtual ~MetricPrinter() = default;
  virtual void Add(const v1::MetricRow& row) = 0;
  // Call once, after the last row.
  virtual void Finish() {}
};

// CSV with every field of MetricRow in its order, an absent value empty and
// numbers with all their digits; JSON, one row a line; or an aligned table of
// the figures that people look at, in which a column without a value is left
// out.
std::unique_ptr<MetricPrinter> MakeMetricPrinter(bool csv,
                                                 CommandContext& context);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_METRIC_TABLE_H_
