#ifndef ATTUNE_CLIENT_REPORT_REPORT_PAGE_H_
#define ATTUNE_CLIENT_REPORT_REPORT_PAGE_H_

#include <string>

#include "absl/time/time.h"
#include "client/report/report_data.h"

namespace attune::client {

// The report as one HTML page that needs nothing else: styles, curves and
// pictures are in it, and its content policy forbids it to load anything.
std::string RenderReport(const Report& report, absl::Time made_at);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_REPORT_REPORT_PAGE_H_
