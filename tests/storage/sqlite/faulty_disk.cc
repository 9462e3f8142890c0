#include "tests/storage/sqlite/faulty_disk.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

namespace attune::storage {

// The system's file object lies behind this one in SQLite's memory.
struct FaultyFile {
  sqlite3_file base;
  FaultyDisk* disk;
  std::string* path;

  static FaultyFile* Of(sqlite3_file* file) {
    return reinterpret_cast<FaultyFile*>(file);
  }
  static sqlite3_file* System(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(Of(file) + 1);
  }

  static int Close(sqlite3_file* file) {
    delete Of(file)->path;
    return System(file)->pMethods->xClose(System(file));
  }
  static int Read(sqlite3_file* file, void* bytes, int size,
                  sqlite3_int64 offset) {
    return System(file)->pMethods->xRead(System(file), bytes, size, offset);
  }
  static int Write(sqlite3_file* file, const void* bytes, int size,
                   sqlite3_int64 offset) {
    FaultyDisk& disk = *Of(file)->disk;
    if (disk.write_result_ != SQLITE_OK) return disk.write_result_;
    if (!disk.Grow(*Of(file)->path, offset + size)) return SQLITE_FULL;
    const int result =
        System(file)->pMethods->xWrite(System(file), bytes, size, offset);
    if (result == SQLITE_OK) {
      disk.Record(*Of(file)->path,
                  {offset, std::string(static_cast<const char*>(bytes), size),
                   /*truncates=*/false});
    }
    return result;
  }
  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    const int result = System(file)->pMethods->xTruncate(System(file), size);
    if (result == SQLITE_OK) {
      Of(file)->disk->sizes_[*Of(file)->path] = size;
      Of(file)->disk->Record(*Of(file)->path, {size, "", /*truncates=*/true});
    }
    return result;
  }
  static int Sync(sqlite3_file* file, int) {
    FaultyDisk& disk = *Of(file)->disk;
    if (disk.sync_result_ != SQLITE_OK) return disk.sync_result_;
    disk.Sync(*Of(file)->path);
    return SQLITE_OK;
  }
  static int FileSize(sqlite3_file* file, sqlite3_int64* size) {
    return System(file)->pMethods->xFileSize(System(file), size);
  }
  static int Lock(sqlite3_file* file, int level) {
    return System(file)->pMethods->xLock(System(file), level);
  }
  static int Unlock(sqlite3_file* file, int level) {
    return System(file)->pMethods->xUnlock(System(file), level);
  }
  static int CheckReservedLock(sqlite3_file* file, int* result) {
    return System(file)->pMethods->xCheckReservedLock(System(file), result);
  }
  static int FileControl(sqlite3_file* file, int operation, void* argument) {
    return System(file)->pMethods->xFileControl(System(file), operation,
                                                argument);
  }
  static int SectorSize(sqlite3_file* file) {
    return System(file)->pMethods->xSectorSize(System(file));
  }
  static int DeviceCharacteristics(sqlite3_file* file) {
    return System(file)->pMethods->xDeviceCharacteristics(System(file));
  }
  static int ShmMap(sqlite3_file* file, int page, int size, int extend,
                    void volatile** memory) {
    return System(file)->pMethods->xShmMap(System(file), page, size, extend,
                                           memory);
  }
  static int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
    return System(file)->pMethods->xShmLock(System(file), offset, count, flags);
  }
  static void ShmBarrier(sqlite3_file* file) {
    System(file)->pMethods->xShmBarrier(System(file));
  }
  static int ShmUnmap(sqlite3_file* file, int remove) {
    return System(file)->pMethods->xShmUnmap(System(file), remove);
  }

  // Version 2: without memory-mapped reading, which would bypass Write.
  static constexpr sqlite3_io_methods kMethods = {2,
                                                  Close,
                                                  Read,
                                                  Write,
                                                  Truncate,
                                                  Sync,
                                                  FileSize,
                                                  Lock,
                                                  Unlock,
                                                  CheckReservedLock,
                                                  FileControl,
                                                  SectorSize,
                                                  DeviceCharacteristics,
                                                  ShmMap,
                                                  ShmLock,
                                                  ShmBarrier,
                                                  ShmUnmap,
                                                  nullptr,
                                                  nullptr};
};

FaultyDisk::FaultyDisk(uint32_t seed)
    : system_(sqlite3_vfs_find(nullptr)), vfs_(*system_), random_(seed) {
  vfs_.szOsFile = static_cast<int>(sizeof(FaultyFile)) + system_->szOsFile;
  vfs_.zName = "faulty-disk";
  vfs_.pAppData = this;
  vfs_.xOpen = Open;
  vfs_.xDelete = Delete;
  sqlite3_vfs_register(&vfs_, /*makeDflt=*/1);
}

FaultyDisk::~FaultyDisk() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(system_, /*makeDflt=*/1);
}

int FaultyDisk::Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file,
                     int flags, int* out_flags) {
  auto* disk = static_cast<FaultyDisk*>(vfs->pAppData);
  const int result = disk->system_->xOpen(
      disk->system_, name, FaultyFile::System(file), flags, out_flags);
  file->pMethods = nullptr;
  if (result != SQLITE_OK) return result;
  FaultyFile* faulty = FaultyFile::Of(file);
  faulty->base.pMethods = &FaultyFile::kMethods;
  faulty->disk = disk;
  faulty->path = new std::string(name == nullptr ? "" : name);
  return SQLITE_OK;
}

int FaultyDisk::Delete(sqlite3_vfs* vfs, const char* name, int sync_folder) {
  auto* disk = static_cast<FaultyDisk*>(vfs->pAppData);
  disk->files_.erase(name);
  disk->sizes_.erase(name);
  return disk->system_->xDelete(disk->system_, name, sync_folder);
}

int64_t FaultyDisk::UsedBytes() const {
  int64_t used = 0;
  for (const auto& [path, size] : sizes_) used += size;
  return used;
}

bool FaultyDisk::Grow(const std::string& path, int64_t size) {
  int64_t& known = sizes_[path];
  if (size <= known) return true;
  if (UsedBytes() + size - known > capacity_) return false;
  known = size;
  return true;
}

void FaultyDisk::Record(const std::string& path, Write write) {
  if (!records_) return on_operation_();
  files_[path].unsynced.push_back(std::move(write));
  on_operation_();
}

void FaultyDisk::Sync(const std::string& path) {
  if (lies_about_syncs_) return;
  DiskFile& file = files_[path];
  for (const Write& write : file.unsynced) {
    Apply(write, write.bytes.size(), file.synced);
  }
  file.unsynced.clear();
  on_operation_();
}

void FaultyDisk::Apply(const Write& write, size_t length,
                       std::string& content) {
  const auto offset = static_cast<size_t>(write.offset);
  if (write.truncates) {
    content.resize(std::min(content.size(), offset));
    return;
  }
  if (content.size() < offset + length) content.resize(offset + length);
  content.replace(offset, length, write.bytes, 0, length);
}

void FaultyDisk::CutPower(const std::string& folder) {
  constexpr size_t kSector = 512;
  for (const auto& [path, file] : files_) {
    std::string content = file.synced;
    // The disk may have written in any order.
    const uint32_t mood = random_() % 3;
    for (const Write& write : file.unsynced) {
      const bool keep = mood == 1 || (mood == 2 && random_() % 2 == 0);
      if (!keep) continue;
      size_t length = write.bytes.size();
      if (mood == 2 && length > kSector) {
        length = random_() % (length / kSector + 1) * kSector;
      }
      Apply(write, length, content);
    }
    const std::string name = std::filesystem::path(path).filename();
    std::ofstream(folder + "/" + name, std::ios::binary) << content;
  }
}

}  // namespace attune::storage
