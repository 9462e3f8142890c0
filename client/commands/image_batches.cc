#include "client/commands/image_batches.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/commands/cli.h"
#include "common/error.h"

namespace attune::client {
namespace {

constexpr size_t kMaxImages = 256;
constexpr uintmax_t kMaxImageBytes = 20 << 20;
// Below the 32 MiB of a request, with room for labels and templates.
constexpr uintmax_t kMaxGroupBytes = 28 << 20;

}  // namespace

absl::StatusOr<std::vector<FileGroup>> GroupFiles(
    const std::vector<std::string>& paths) {
  std::vector<FileGroup> groups;
  uintmax_t group_bytes = 0;
  for (size_t i = 0; i < paths.size(); ++i) {
    std::error_code code;
    const uintmax_t bytes = std::filesystem::file_size(paths[i], code);
    if (code) {
      return Error(absl::StatusCode::kNotFound, "FILE_NOT_FOUND",
                   absl::StrCat("cannot read the file ", paths[i]));
    }
    if (bytes > kMaxImageBytes) {
      return Error(absl::StatusCode::kInvalidArgument, "IMAGE_TOO_LARGE",
                   absl::StrCat(paths[i], " is larger than 20 MiB"));
    }
    if (groups.empty() || i - groups.back().first == kMaxImages ||
        group_bytes + bytes > kMaxGroupBytes) {
      groups.push_back({i, i});
      group_bytes = 0;
    }
    groups.back().last = i + 1;
    group_bytes += bytes;
  }
  return groups;
}

void PrintItemError(CommandContext& context, absl::string_view item,
                    const v1::ItemError& error) {
  PrintError(Error(static_cast<absl::StatusCode>(error.code()), error.reason(),
                   absl::StrCat(item, ": ", error.message())),
             context.console().err);
}

}  // namespace attune::client
