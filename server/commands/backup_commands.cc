#include "server/commands/backup_commands.h"

#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/backup.h"

namespace attune {
namespace {

struct Folders {
  std::string data_dir;
  std::string other;
};

absl::Status Tell(const absl::StatusOr<storage::BlobTotals>& totals,
                  const char* what, const std::string& folder) {
  if (!totals.ok()) return totals.status();
  std::printf("%s %s: state.db and %lld blobs of %lld bytes, all verified\n",
              what, folder.c_str(), static_cast<long long>(totals->count),
              static_cast<long long>(totals->bytes));
  return absl::OkStatus();
}

}  // namespace

void AddBackupCommands(CLI::App& app, std::function<absl::Status()>* command) {
  const auto folders = std::make_shared<Folders>();

  CLI::App* backup = app.add_subcommand(
      "backup", "Copy a data folder, also while its server runs");
  backup->add_option("--data-dir", folders->data_dir, "Folder to copy")
      ->required();
  backup
      ->add_option("destination", folders->other,
                   "New or empty folder for the copy")
      ->required();
  backup->callback([folders, command] {
    *command = [folders] {
      return Tell(storage::BackUp(folders->data_dir, folders->other),
                  "backed up to", folders->other);
    };
  });

  CLI::App* restore = app.add_subcommand(
      "restore", "Make a data folder out of a backup and verify all of it");
  restore->add_option("source", folders->other, "Folder of the backup")
      ->required();
  restore
      ->add_option("--data-dir", folders->data_dir, "New or empty data folder")
      ->required();
  restore->callback([folders, command] {
    *command = [folders] {
      return Tell(storage::Restore(folders->other, folders->data_dir),
                  "restored to", folders->data_dir);
    };
  });
}

}  // namespace attune
