#ifndef ATTUNE_CLIENT_REPORT_LINEAGE_SECTION_H_
#define ATTUNE_CLIENT_REPORT_LINEAGE_SECTION_H_

#include "client/report/html.h"
#include "client/report/report_data.h"

namespace attune::client {

// What the versions were made from: data and their digests, configuration,
// seed, base; and what happened to the job.
void WriteLineage(const Report& report, HtmlWriter& html);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_REPORT_LINEAGE_SECTION_H_
