#include "server/core/leases/lease_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/ids.h"

namespace attune::core {

namespace {

constexpr double kJitter = 0.25;

absl::Status BadOptions(absl::string_view problem) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_OPTIONS", problem);
}

// In [0, 1), by the job and the number.
double Fraction(absl::string_view job_id, int failures) {
  constexpr int kBits = 24;
  uint32_t value = 0;
  const std::string digest = Sha256Hex(absl::StrCat(job_id, "/", failures));
  if (!absl::SimpleHexAtoi(digest.substr(0, kBits / 4), &value)) return 0;
  return static_cast<double>(value) / (1 << kBits);
}

}  // namespace

absl::Status LeaseOptions::Validate() const {
  if (heartbeat_interval <= absl::ZeroDuration() ||
      duration < 4 * heartbeat_interval) {
    return BadOptions(absl::StrCat(
        "a lease of ", absl::FormatDuration(duration),
        " is shorter than four heartbeats of ",
        absl::FormatDuration(heartbeat_interval),
        ": make --lease-duration longer or --heartbeat-interval shorter"));
  }
  if (FenceAfter() < 2 * heartbeat_interval ||
      FenceAfter() + heartbeat_interval > duration) {
    return BadOptions(absl::StrCat(
        "--fence-after ", absl::FormatDuration(FenceAfter()),
        " must be at least two heartbeats of ",
        absl::FormatDuration(heartbeat_interval),
        " and end one before the lease of ", absl::FormatDuration(duration)));
  }
  if (max_failures < 1 || first_delay < absl::ZeroDuration() ||
      max_delay < first_delay) {
    return BadOptions(
        "--max-failures must be positive, --retry-delay not negative, and "
        "--max-retry-delay not shorter");
  }
  return absl::OkStatus();
}

absl::Duration LeaseOptions::DelayAfter(int failures,
                                        absl::string_view job_id) const {
  if (failures <= 1) return absl::ZeroDuration();
  // Past 2^20 the cap has long been reached.
  const int doublings = std::min(failures - 2, 20);
  const absl::Duration delay =
      std::min(max_delay, first_delay * (int64_t{1} << doublings));
  return absl::Trunc(delay * (1 - kJitter * Fraction(job_id, failures)),
                     absl::Milliseconds(1));
}

absl::Status LeaseLost(absl::string_view job_id) {
  return Error(absl::StatusCode::kAborted, "LEASE_LOST",
               absl::StrCat("the lease of '", job_id,
                            "' is over: stop the task, nothing of it is kept "
                            "from now on"));
}

std::string NewLeaseToken(absl::string_view job_id, int32_t attempt) {
  return absl::StrCat(job_id, ".", attempt, ".", RandomHex(16));
}

absl::string_view JobOfToken(absl::string_view token) {
  const size_t end = token.find('.');
  return end == absl::string_view::npos ? "" : token.substr(0, end);
}

void LeaseTable::Grant(Lease lease) {
  absl::MutexLock lock(&mutex_);
  lease.deadline = clock_.MonotonicNow() + duration_;
  std::string job_id = lease.job_id;
  leases_.insert_or_assign(std::move(job_id), std::move(lease));
}

absl::StatusOr<Wish> LeaseTable::Renew(absl::string_view token, int64_t step,
                                       int64_t total_steps) {
  const std::string hash = Sha256Hex(token);
  absl::MutexLock lock(&mutex_);
  const auto found = leases_.find(JobOfToken(token));
  if (found == leases_.end() || found->second.token_hash != hash) {
    return LeaseLost(JobOfToken(token));
  }
  Lease& lease = found->second;
  lease.deadline = clock_.MonotonicNow() + duration_;
  lease.step = std::max(lease.step, step);
  if (total_steps > 0) lease.total_steps = total_steps;
  return lease.wish;
}

absl::StatusOr<Lease> LeaseTable::Find(absl::string_view token) const {
  const std::string hash = Sha256Hex(token);
  absl::MutexLock lock(&mutex_);
  const auto found = leases_.find(JobOfToken(token));
  if (found == leases_.end() || found->second.token_hash != hash) {
    return LeaseLost(JobOfToken(token));
  }
  return found->second;
}

std::optional<Lease> LeaseTable::HeldBy(absl::string_view worker_id) const {
  absl::MutexLock lock(&mutex_);
  for (const auto& [job_id, lease] : leases_) {
    if (lease.worker_id == worker_id) return lease;
  }
  return std::nullopt;
}

std::optional<Lease> LeaseTable::OfJob(absl::string_view job_id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = leases_.find(job_id);
  if (found == leases_.end()) return std::nullopt;
  return found->second;
}

void LeaseTable::AskToStop(absl::string_view job_id, int32_t attempt,
                           Wish wish) {
  absl::MutexLock lock(&mutex_);
  const auto found = leases_.find(job_id);
  if (found == leases_.end() || found->second.attempt != attempt) return;
  found->second.wish = std::max(found->second.wish, wish);
}

void LeaseTable::SetProgress(absl::string_view job_id, int64_t step,
                             int64_t total_steps) {
  absl::MutexLock lock(&mutex_);
  const auto found = leases_.find(job_id);
  if (found == leases_.end()) return;
  found->second.step = std::max(found->second.step, step);
  if (total_steps > 0) found->second.total_steps = total_steps;
}

void LeaseTable::Remove(absl::string_view job_id, int32_t attempt) {
  absl::MutexLock lock(&mutex_);
  const auto found = leases_.find(job_id);
  if (found != leases_.end() && found->second.attempt == attempt) {
    leases_.erase(found);
  }
}

std::vector<Lease> LeaseTable::TakeExpired() {
  absl::MutexLock lock(&mutex_);
  const absl::Duration now = clock_.MonotonicNow();
  std::vector<Lease> expired;
  for (auto lease = leases_.begin(); lease != leases_.end();) {
    if (lease->second.deadline > now) {
      ++lease;
      continue;
    }
    expired.push_back(std::move(lease->second));
    lease = leases_.erase(lease);
  }
  return expired;
}

void LeaseTable::StartBackoff(absl::string_view job_id, absl::Duration delay) {
  absl::MutexLock lock(&mutex_);
  backoffs_[std::string(job_id)] = clock_.MonotonicNow() + delay;
}

std::vector<std::string> LeaseTable::TakeEndedBackoffs() {
  absl::MutexLock lock(&mutex_);
  const absl::Duration now = clock_.MonotonicNow();
  std::vector<std::string> ended;
  for (auto backoff = backoffs_.begin(); backoff != backoffs_.end();) {
    if (backoff->second > now) {
      ++backoff;
      continue;
    }
    ended.push_back(backoff->first);
    backoff = backoffs_.erase(backoff);
  }
  return ended;
}

}  // namespace attune::core
