// Copies of a data folder, made while its server runs, and the way back.

#ifndef ATTUNE_STORAGE_SQLITE_BACKUP_H_
#define ATTUNE_STORAGE_SQLITE_BACKUP_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/verification.h"

namespace attune::storage {

// A folder with this file in it is not complete: a backup or a restore that
// made it was cut off.
inline constexpr char kIncompleteMark[] = "INCOMPLETE";

// FAILED_PRECONDITION, reason INCOMPLETE_COPY, when `folder` has the mark.
absl::Status CheckComplete(const std::string& folder);

// Copies the data folder to `destination`, which is made, or is empty
// (FAILED_PRECONDITION, reason FOLDER_NOT_EMPTY): state.db as of one moment,
// then every blob that it names, each verified as it is read; no garbage is
// collected meanwhile. A server may run on the folder, and writes no slower for
// it. DATA_LOSS naming the blob that is damaged; NOT_FOUND without the
// databases; RESOURCE_EXHAUSTED, reason DISK_FULL. Returns what was copied.
absl::StatusOr<BlobTotals> BackUp(const std::string& data_dir,
                                  const std::string& destination);

// Makes the data folder `data_dir`, which is missing or empty, out of a backup
// or of a copy of a stopped server's folder, and verifies the copy: the pages
// and references of both databases, every blob that the state names and its
// digest. After an error nothing of it is left. FAILED_PRECONDITION, reason
// FOLDER_NOT_EMPTY or INCOMPLETE_COPY, or of OpenStateStore; DATA_LOSS, reason
// DATABASE_DAMAGED, BLOB_MISSING or BLOB_DAMAGED. Returns what was verified.
absl::StatusOr<BlobTotals> Restore(const std::string& source,
                                   const std::string& data_dir);

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_BACKUP_H_
