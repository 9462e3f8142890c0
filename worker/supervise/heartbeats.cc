#include "worker/supervise/heartbeats.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "worker/transport/retry.h"

namespace attune::supervise {

Heartbeats::Heartbeats(transport::ServerConnection& connection,
                       const Clock& clock, Options options)
    : connection_(connection), clock_(clock), options_(std::move(options)) {}

Heartbeats::~Heartbeats() {
  {
    TimedMutexLock lock(&mutex_);
    ending_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void Heartbeats::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Heartbeats::Take(const std::string& lease_token) {
  TimedMutexLock lock(&mutex_);
  lease_token_ = lease_token;
  progress_ = Progress();
  lost_ = false;
  last_good_ = clock_.MonotonicNow();
  wish_ = v1::HeartbeatResponse::WISH_CONTINUE;
  taken_ = true;
}

void Heartbeats::Drop() {
  TimedMutexLock lock(&mutex_);
  lease_token_.clear();
}

void Heartbeats::SetProgress(const Progress& progress) {
  TimedMutexLock lock(&mutex_);
  progress_ = progress;
}

Heartbeats::LeaseState Heartbeats::lease_state() const {
  TimedMutexLock lock(&mutex_);
  if (lost_) return LeaseState::kLost;
  if (clock_.MonotonicNow() - last_good_ >= options_.fence_after) {
    return LeaseState::kFenced;
  }
  return LeaseState::kHeld;
}

v1::HeartbeatResponse::Wish Heartbeats::wish() const {
  TimedMutexLock lock(&mutex_);
  return wish_;
}

void Heartbeats::Beat() {
  v1::HeartbeatRequest request;
  request.set_worker_id(options_.registration.worker_id());
  {
    TimedMutexLock lock(&mutex_);
    request.set_lease_token(lease_token_);
    request.set_step(progress_.step);
    request.set_total_steps(progress_.total_steps);
  }
  const absl::Duration sent_at = clock_.MonotonicNow();
  const absl::StatusOr<v1::HeartbeatResponse> response =
      connection_.Heartbeat(request, options_.interval);
  if (absl::IsNotFound(response.status())) {
    spdlog::info("the server does not know this worker: registering again");
    const auto registered = connection_.Register(options_.registration);
    if (!registered.ok()) {
      spdlog::warn("Register: {}", std::string(registered.status().message()));
    }
  }
  TimedMutexLock lock(&mutex_);
  // The answer may be about a lease that has been dropped meanwhile.
  if (request.lease_token().empty() || request.lease_token() != lease_token_) {
    return;
  }
  if (response.ok()) {
    last_good_ = std::max(last_good_, sent_at);
    wish_ = response->wish();
  } else if (transport::IsLeaseLost(response.status())) {
    lost_ = true;
  } else {
    spdlog::warn("Heartbeat: {}", std::string(response.status().message()));
  }
}

void Heartbeats::Run() {
  while (true) {
    {
      TimedMutexLock lock(&mutex_);
      const auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return ending_ || taken_;
      };
      mutex_.AwaitWithTimeout(absl::Condition(&due), options_.interval);
      if (ending_) return;
      taken_ = false;
    }
    Beat();
  }
}

}  // namespace attune::supervise
