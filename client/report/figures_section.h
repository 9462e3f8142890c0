#ifndef ATTUNE_CLIENT_REPORT_FIGURES_SECTION_H_
#define ATTUNE_CLIENT_REPORT_FIGURES_SECTION_H_

#include <string>

#include "client/report/html.h"
#include "client/report/report_data.h"

namespace attune::client {

// "attacked_top1" as "attacked top-1".
std::string FigureTitle(const std::string& name);

// The few figures that say what the job did, large.
void WriteTiles(const Report& report, HtmlWriter& html);

// A table of every evaluation: before, after, their difference, how many
// examples.
void WriteFigures(const Report& report, HtmlWriter& html);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_REPORT_FIGURES_SECTION_H_
