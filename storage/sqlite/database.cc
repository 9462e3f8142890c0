#include "storage/sqlite/database.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/memory/memory.h"
#include "common/status_macros.h"
#include "storage/sqlite/sqlite_status.h"

namespace attune::storage {
namespace {

constexpr int kReaders = 4;
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
    ATTUNE_RETURN_IF_ERROR(Migrate(*database->writer_, schema));
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

absl::Status Database::Write(
    absl::FunctionRef<absl::Status(Connection&)> body) {
  absl::MutexLock lock(&writer_mutex_);
  const absl::Duration start = options_.clock->MonotonicNow();
  absl::Status status = writer_->RunTransaction(
      kBeginWrite,
      [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return body(*writer_); });
  if (options_.on_write) {
    options_.on_write(name_, options_.clock->MonotonicNow() - start);
  }
  return status;
}

absl::Status Database::Read(absl::FunctionRef<absl::Status(Connection&)> body) {
  if (in_memory_) return ReadInMemory(body);
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
  return reader->RunTransaction(kBeginRead, [&] { return body(*reader); });
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
