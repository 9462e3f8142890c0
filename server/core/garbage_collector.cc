#include "server/core/garbage_collector.h"

#include <spdlog/spdlog.h>

#include <string>
#include <vector>

#include "common/error.h"
#include "common/status_macros.h"

namespace attune::core {

absl::StatusOr<int64_t> CollectGarbage(storage::StateStore& state,
                                       storage::BlobStore& blobs,
                                       absl::Duration grace) {
  return blobs.CollectGarbage(
      grace,
      [&state](absl::Span<const std::string> digests)
          -> absl::StatusOr<std::vector<std::string>> {
        std::vector<std::string> referenced;
        ATTUNE_RETURN_IF_ERROR(state.Read(
            [&](storage::StateTransaction& transaction) -> absl::Status {
              ATTUNE_ASSIGN_OR_RETURN(referenced,
                                      transaction.FindReferencedBlobs(digests));
              return absl::OkStatus();
            }));
        return referenced;
      });
}

absl::StatusOr<int64_t> ForgetUploads(storage::StateStore& state,
                                      absl::Time before) {
  int64_t forgotten = 0;
  ATTUNE_RETURN_IF_ERROR(
      state.Write([&](storage::StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(forgotten,
                                transaction.uploads().DeleteBefore(before));
        return absl::OkStatus();
      }));
  return forgotten;
}

GarbageCollector::GarbageCollector(storage::StateStore& state,
                                   storage::BlobStore& blobs,
                                   const Clock& clock,
                                   const GarbageOptions& options)
    : state_(state),
      blobs_(blobs),
      clock_(clock),
      options_(options),
      thread_([this] { Run(); }) {}

GarbageCollector::~GarbageCollector() {
  {
    TimedMutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void GarbageCollector::Trigger() {
  TimedMutexLock lock(&mutex_);
  wanted_ = true;
}

void GarbageCollector::Run() {
  const auto due = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return wanted_ || stopping_;
  };
  while (true) {
    {
      TimedMutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(&due), options_.interval);
      if (stopping_) return;
      wanted_ = false;
    }
    const auto forgotten =
        ForgetUploads(state_, clock_.WallNow() - options_.upload_lifetime);
    if (!forgotten.ok()) {
      spdlog::warn("forgetting old uploads failed: {}",
                   forgotten.status().ToString());
    } else if (*forgotten > 0) {
      spdlog::info("forgot {} uploads that nobody went on with", *forgotten);
    }
    const auto deleted = CollectGarbage(state_, blobs_, options_.grace);
    if (ErrorReason(deleted.status()) == "LOCKED") {
      spdlog::info("no garbage is collected while a backup is made");
    } else if (!deleted.ok()) {
      spdlog::warn("collecting unused blobs failed: {}",
                   deleted.status().ToString());
    } else if (*deleted > 0) {
      spdlog::info("deleted {} unused blobs", *deleted);
    }
  }
}

}  // namespace attune::core
