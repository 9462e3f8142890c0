#include "storage/sqlite/database.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "storage/sqlite/copy.h"
#include "storage/sqlite/sqlite_status.h"

namespace attune::storage {
namespace {

constexpr int kReaders = 4;
constexpr int kSmallestPageSize = 4096;
constexpr absl::string_view kBeginWrite = "BEGIN IMMEDIATE";
constexpr absl::string_view kBeginRead = "BEGIN";

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::Open(
    const std::string& path, const std::string& name, int page_size,
    const Schema& schema, const SqliteOptions& options) {
  auto database = absl::WrapUnique(new Database(name, options));
  database->in_memory_ = path == ":memory:";
  try {
    absl::MutexLock writer_lock(&database->writer_mutex_);
    database->writer_ =
        std::make_unique<Connection>(path, Access::kWriter, page_size);
    ATTUNE_RETURN_IF_ERROR(
        CheckIntegrity(*database->writer_, schema, options.check));
    ATTUNE_RETURN_IF_ERROR(options.migrate
                               ? Migrate(*database->writer_, schema)
                               : CheckVersion(*database->writer_, schema));
    absl::MutexLock readers_lock(&database->readers_mutex_);
    for (int i = 0; i < (database->in_memory_ ? 0 : kReaders); ++i) {
      database->idle_readers_.push_back(
          std::make_unique<Connection>(path, Access::kReader, page_size));
    }
  } catch (...) {
    return CurrentExceptionStatus();
  }
  return database;
}

absl::StatusOr<std::unique_ptr<Database>> Database::OpenForReading(
    const std::string& path, const Schema& schema) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return NotFound("file", path);
  auto database = absl::WrapUnique(new Database(path, SqliteOptions()));
  try {
    absl::MutexLock lock(&database->readers_mutex_);
    // The size of a page is the file's.
    auto reader =
        std::make_unique<Connection>(path, Access::kReader, kSmallestPageSize);
    ATTUNE_RETURN_IF_ERROR(CheckVersion(*reader, schema));
    database->idle_readers_.push_back(std::move(reader));
  } catch (...) {
    return CurrentExceptionStatus();
  }
  return database;
}

absl::Status Database::Write(
    absl::FunctionRef<absl::Status(Connection&)> body) {
  absl::MutexLock lock(&writer_mutex_);
  if (writer_ == nullptr) {
    return Error(absl::StatusCode::kFailedPrecondition, "READ_ONLY",
                 absl::StrCat(name_, " was opened for reading"));
  }
  const absl::Duration start = options_.clock->MonotonicNow();
  absl::Status status = writer_->RunTransaction(
      kBeginWrite,
      [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return body(*writer_); });
  if (options_.on_write) {
    options_.on_write(name_, options_.clock->MonotonicNow() - start);
  }
  return status;
}

absl::Status Database::Copy(const std::string& destination) {
  return WithReader([&](Connection& connection) {
    return CopyDatabase(connection, destination);
  });
}

absl::Status Database::Read(absl::FunctionRef<absl::Status(Connection&)> body) {
  if (in_memory_) return ReadInMemory(body);
  return WithReader([&](Connection& connection) {
    return connection.RunTransaction(kBeginRead,
                                     [&] { return body(connection); });
  });
}

absl::Status Database::WithReader(
    absl::FunctionRef<absl::Status(Connection&)> body) {
  std::unique_ptr<Connection> reader;
  {
    absl::MutexLock lock(&readers_mutex_);
    readers_mutex_.Await(absl::Condition(this, &Database::HasIdleReader));
    reader = std::move(idle_readers_.back());
    idle_readers_.pop_back();
  }
  auto give_back = absl::MakeCleanup([&] {
    absl::MutexLock lock(&readers_mutex_);
    idle_readers_.push_back(std::move(reader));
  });
  return body(*reader);
}

absl::Status Database::ReadInMemory(
    absl::FunctionRef<absl::Status(Connection&)> body) {
  absl::MutexLock lock(&writer_mutex_);
  try {
    writer_->SetReadOnly(true);
  } catch (...) {
    return CurrentExceptionStatus();
  }
  absl::Status status = writer_->RunTransaction(
      kBeginRead,
      [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return body(*writer_); });
  try {
    writer_->SetReadOnly(false);
  } catch (...) {
    return CurrentExceptionStatus();
  }
  return status;
}

}  // namespace attune::storage
