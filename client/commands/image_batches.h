#ifndef ATTUNE_CLIENT_COMMANDS_IMAGE_BATCHES_H_
#define ATTUNE_CLIENT_COMMANDS_IMAGE_BATCHES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "attune/v1/inference_service.pb.h"
#include "client/commands/context.h"
#include "client/examples_file.h"
#include "common/status_macros.h"

namespace attune::client {

// Neighbouring files [first, last) that fit one request.
struct FileGroup {
  size_t first = 0;
  size_t last = 0;
};

// Splits files into groups of at most 256 pictures and 28 MiB. NOT_FOUND
// (FILE_NOT_FOUND) for a missing file and INVALID_ARGUMENT (IMAGE_TOO_LARGE)
// for one above 20 MiB, naming it, before any is read.
absl::StatusOr<std::vector<FileGroup>> GroupFiles(
    const std::vector<std::string>& paths);

// Calls `send` with `request` for one group after the other, its images
// filled in; `send` may change the request for the groups that follow.
template <typename Request, typename Send>
absl::Status ForEachGroup(const std::vector<std::string>& paths,
                          Request request, const Send& send) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<FileGroup> groups,
                          GroupFiles(paths));
  for (const FileGroup& group : groups) {
    request.clear_images();
    for (size_t i = group.first; i < group.last; ++i) {
      ATTUNE_ASSIGN_OR_RETURN(*request.add_images(), ReadFile(paths[i]));
    }
    ATTUNE_RETURN_IF_ERROR(send(&request));
  }
  return absl::OkStatus();
}

// Prints the error of one item of a request as errors are printed, naming the
// item.
void PrintItemError(CommandContext& context, absl::string_view item,
                    const v1::ItemError& error);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_IMAGE_BATCHES_H_
