#ifndef ATTUNE_WORKER_TASK_TEXT_ROWS_H_
#define ATTUNE_WORKER_TASK_TEXT_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/safetensors/clip_layout.h"

namespace attune::task {

// The token rows of texts for a model.
// INVALID_ARGUMENT, reason TEXT_TOO_LONG naming the text, when one is longer
// than the context and may not be cut.
absl::StatusOr<std::vector<std::vector<int32_t>>> TokenRows(
    const std::vector<std::string>& texts, const ClipConfig& config,
    bool truncate);

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_TEXT_ROWS_H_
