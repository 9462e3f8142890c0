// A disk that loses power and fails on demand, under SQLite.

#ifndef ATTUNE_TESTS_STORAGE_SQLITE_FAULTY_DISK_H_
#define ATTUNE_TESTS_STORAGE_SQLITE_FAULTY_DISK_H_

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace attune::storage {

// SQLite's default file system while it lives: passes everything on to the
// operating system's, and beside it keeps what a disk holds for certain: each
// file as of its last sync. For one thread.
class FaultyDisk {
 public:
  explicit FaultyDisk(uint32_t seed);
  ~FaultyDisk();
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  // For tests that do not cut the power: nothing is remembered.
  void set_records(bool records) { records_ = records; }

  // Called after every write, truncation and sync.
  void set_on_operation(std::function<void()> on_operation) {
    on_operation_ = std::move(on_operation);
  }
  // What every write and every sync returns from now on, SQLITE_OK to work.
  void set_write_result(int result) { write_result_ = result; }
  void set_sync_result(int result) { sync_result_ = result; }
  // A write that would make the files larger than this in all is refused with
  // SQLITE_FULL.
  void set_capacity(int64_t bytes) { capacity_ = bytes; }
  // Bytes of all files.
  int64_t UsedBytes() const;
  // A disk that acknowledges syncs and does not do them.
  void set_lies_about_syncs(bool lies) { lies_about_syncs_ = lies; }

  // Puts the files into `folder` as a power cut at this moment may leave
  // them: synced bytes, and of each later write nothing, all or a part.
  void CutPower(const std::string& folder);

 private:
  friend struct FaultyFile;

  struct Write {
    int64_t offset = 0;
    std::string bytes;
    bool truncates = false;  // to `offset`
  };
  struct DiskFile {
    std::string synced;
    std::vector<Write> unsynced;
  };

  static void Apply(const Write& write, size_t length, std::string& content);
  // Whether the file may have `size` bytes.
  bool Grow(const std::string& path, int64_t size);
  void Record(const std::string& path, Write write);
  void Sync(const std::string& path);

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file,
                  int flags, int* out_flags);
  static int Delete(sqlite3_vfs* vfs, const char* name, int sync_folder);

  sqlite3_vfs* const system_;
  sqlite3_vfs vfs_;
  std::mt19937 random_;
  std::map<std::string, DiskFile> files_;
  std::function<void()> on_operation_ = [] {};
  int write_result_ = SQLITE_OK;
  int sync_result_ = SQLITE_OK;
  bool lies_about_syncs_ = false;
  int64_t capacity_ = std::numeric_limits<int64_t>::max();
  std::map<std::string, int64_t> sizes_;
  // Whether bytes are remembered for CutPower, which takes memory.
  bool records_ = true;
};

}  // namespace attune::storage

#endif  // ATTUNE_TESTS_STORAGE_SQLITE_FAULTY_DISK_H_
