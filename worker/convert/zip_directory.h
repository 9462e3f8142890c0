#ifndef ATTUNE_WORKER_CONVERT_ZIP_DIRECTORY_H_
#define ATTUNE_WORKER_CONVERT_ZIP_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"

namespace attune::convert {

// Whether a ZIP archive keeps its entries as they are, as torch.save does, and
// so cannot grow in memory: LibTorch inflates some as soon as it opens one,
// whatever they say of their size. The code of a TorchScript archive, which
// nobody opens here, may be compressed.
//
// Reads the directory at the archive's end as LibTorch does, and refuses what
// the two could read differently: INVALID_ARGUMENT, reason INVALID_ARCHIVE, for
// a compressed entry, and for a file that does not end as LibTorch's do.
absl::Status CheckEntriesAreStored(const std::string& path);

}  // namespace attune::convert

#endif  // ATTUNE_WORKER_CONVERT_ZIP_DIRECTORY_H_
