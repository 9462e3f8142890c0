#include "worker/task/text_rows.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "common/text/tokenizer.h"

namespace attune::task {

absl::StatusOr<std::vector<std::vector<int32_t>>> TokenRows(
    const std::vector<std::string>& texts, const ClipConfig& config,
    bool truncate) {
  const text::Tokenizer& tokenizer = text::Tokenizer::Clip();
  std::vector<std::vector<int32_t>> rows;
  rows.reserve(texts.size());
  for (const std::string& text : texts) {
    absl::StatusOr<std::vector<int32_t>> row =
        tokenizer.EncodeForContext(text, config.context_length, truncate);
    if (!row.ok()) {
      return WithReason(
          absl::Status(row.status().code(),
                       absl::StrCat("'", text.substr(0, 60),
                                    "': ", row.status().message())),
          ErrorReason(row.status()));
    }
    rows.push_back(*std::move(row));
  }
  return rows;
}

}  // namespace attune::task
