#ifndef ATTUNE_CLIENT_REPORT_PICTURES_SECTION_H_
#define ATTUNE_CLIENT_REPORT_PICTURES_SECTION_H_

#include "client/report/html.h"
#include "client/report/report_data.h"

namespace attune::client {

// The pictures that only one of the versions before and after answers rightly.
void WriteChangedPictures(const Report& report, HtmlWriter& html);

// Pairs of the training data, beside their clean pictures.
void WriteAttacks(const Report& report, HtmlWriter& html);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_REPORT_PICTURES_SECTION_H_
