// Files that are there whole, or not at all, after a power cut.

#ifndef ATTUNE_STORAGE_FILES_H_
#define ATTUNE_STORAGE_FILES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace attune::storage {

// The Status of errno's value `error`, reason DISK_ERROR, or DISK_FULL for
// ENOSPC and EDQUOT.
absl::Status ErrnoStatus(int error, absl::string_view message);

// Makes what the file or folder at `path` holds durable: of a folder, the
// names in it.
absl::Status SyncPath(const std::string& path);

// Gives the file another name in the same folder, durably; a file of that name
// is replaced.
absl::Status RenameDurably(const std::string& from, const std::string& to);

// Copies a file to one that is not there, durably.
absl::Status CopyDurably(const std::string& from, const std::string& to);

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_FILES_H_
