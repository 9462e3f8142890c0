#include "server/core/inference/router.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "server/core/models/selector.h"

namespace attune::core {
namespace {

constexpr absl::Duration kRetryDelay = absl::Seconds(1);

absl::Status Unavailable(absl::string_view reason, absl::string_view message) {
  return WithRetryDelay(Error(absl::StatusCode::kUnavailable, reason, message),
                        kRetryDelay);
}

absl::Status Draining() {
  return Unavailable("DRAINING",
                     "the server is stopping: try again when it is back");
}

}  // namespace

Router::Router(const RouterOptions& options, const Clock& clock, Timers& timers,
               Metrics& metrics)
    : options_(options),
      clock_(clock),
      timers_(timers),
      metrics_(metrics),
      lifeline_(std::make_shared<Lifeline>()),
      batcher_(options.batcher),
      no_worker_since_(clock.MonotonicNow()) {
  absl::MutexLock lock(&lifeline_->mutex);
  lifeline_->router = this;
}

Router::~Router() {
  {
    absl::MutexLock lock(&lifeline_->mutex);
    lifeline_->router = nullptr;
  }
  Stop();
}

void Router::Run(Completions completions) {
  for (Completion& completion : completions) {
    completion.done(std::move(completion.result));
  }
}

Router::Ticket Router::Submit(std::shared_ptr<const ServedVersion> version,
                              InputKind kind,
                              std::vector<InferenceInput> inputs,
                              absl::Duration timeout, EmbeddingsCallback done) {
  auto group = std::make_shared<InferenceGroup>();
  Completions completions;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Duration now = clock_.MonotonicNow();
    const auto count = static_cast<int64_t>(inputs.size());
    group->kind = kind;
    group->start = now;
    group->deadline =
        now + (timeout == absl::InfiniteDuration() ? options_.default_deadline
                                                   : timeout);
    group->done = std::move(done);
    group->remaining = count;
    group->result.dimensions = version->version.config.embedding_size;
    group->version = std::move(version);
    absl::Status status =
        stopped_ ? Draining() : batcher_.Add(group, std::move(inputs), now);
    if (!status.ok()) {
      metrics_.InferenceRejected(
          absl::IsResourceExhausted(status) ? "queue_full" : "draining", count);
      Finish(*group, std::move(status), completions);
    } else {
      group->result.values.resize(count * group->result.dimensions);
      group->result.errors.resize(count);
      CheckAt(now, group);
      Advance(completions);
    }
  }
  Run(std::move(completions));
  return group;
}

void Router::Cancel(const Ticket& ticket) {
  Completions completions;
  {
    absl::MutexLock lock(&mutex_);
    if (ticket->finished) return;
    metrics_.InferenceRejected("cancelled", ticket->queued);
    Finish(*ticket, absl::CancelledError("the caller has gone"), completions);
    Advance(completions);
  }
  Run(std::move(completions));
}

int64_t Router::AddWorker(const ServingWorker& worker, WorkerLink* link) {
  Completions completions;
  int64_t session = 0;
  {
    absl::MutexLock lock(&mutex_);
    session = next_session_++;
    placement_.Add(session, worker);
    connections_[session].link = link;
    Advance(completions);
  }
  Run(std::move(completions));
  return session;
}

void Router::RemoveWorker(int64_t session) {
  Completions completions;
  {
    absl::MutexLock lock(&mutex_);
    auto connection = connections_.extract(session);
    if (connection.empty()) return;
    const std::string worker_id = placement_.workers().at(session).about.id;
    placement_.Remove(session);
    ReportLoaded(worker_id);
    // The oldest batch is put back last, thus in front.
    auto& batches = connection.mapped().batches;
    for (auto batch = batches.rbegin(); batch != batches.rend(); ++batch) {
      Retry(std::move(batch->second), completions);
    }
    if (connections_.empty()) {
      no_worker_since_ = clock_.MonotonicNow();
      // What was waiting for a load waits for a worker now.
      const auto groups = std::move(groups_);
      groups_.clear();
      for (const auto& [time, group] : groups) {
        CheckAt(no_worker_since_, group);
      }
    }
    Advance(completions);
  }
  Run(std::move(completions));
}

void Router::OnLoadResult(int64_t session, const std::string& version_digest,
                          const absl::Status& status) {
  Completions completions;
  {
    absl::MutexLock lock(&mutex_);
    const auto worker = placement_.workers().find(session);
    if (worker == placement_.workers().end()) return;
    if (status.ok()) {
      placement_.Loaded(session, version_digest);
      ReportLoaded(worker->second.about.id);
    } else {
      placement_.Unloaded(session, version_digest);
      // Those who wait for it learn why, unless another worker has it.
      std::vector<Ticket> waiting;
      for (const auto& [time, group] : groups_) {
        if (group->version->version.digest == version_digest &&
            group->queued > 0 && !placement_.IsPlaced(version_digest)) {
          waiting.push_back(group);
        }
      }
      for (const Ticket& group : waiting) Finish(*group, status, completions);
    }
    Advance(completions);
  }
  Run(std::move(completions));
}

absl::Status Router::OnBatchAnswer(int64_t session, const BatchAnswer& answer) {
  Completions completions;
  absl::Status result;
  {
    absl::MutexLock lock(&mutex_);
    const auto connection = connections_.find(session);
    if (connection == connections_.end()) return absl::OkStatus();
    auto node = connection->second.batches.extract(answer.batch_id);
    if (node.empty()) {
      return Error(absl::StatusCode::kInvalidArgument, "INVALID_BATCH_RESULT",
                   absl::StrCat("batch ", answer.batch_id,
                                " was not sent or is answered already"));
    }
    InferenceBatch& batch = node.mapped();
    placement_.BatchEnded(session, batch.version->version.digest);
    const auto count = static_cast<int64_t>(batch.items.size());
    const int64_t dimensions = batch.version->version.config.embedding_size;
    std::vector<absl::Status> errors(count, answer.status);
    bool fits =
        !answer.status.ok() ||
        static_cast<int64_t>(answer.embeddings.size()) == count * dimensions;
    for (const auto& [index, error] : answer.item_errors) {
      if (index < 0 || index >= count) {
        fits = false;
      } else {
        errors[index] = error;
      }
    }
    if (!fits) {
      result = Error(
          absl::StatusCode::kInvalidArgument, "INVALID_BATCH_RESULT",
          absl::StrCat("batch ", answer.batch_id, " has ", count, " items of ",
                       dimensions, " dimensions; the answer has ",
                       answer.embeddings.size(), " values"));
      Retry(std::move(batch), completions);
    } else if (!answer.status.ok()) {
      for (const InferenceItem& item : batch.items) {
        if (!item.group->finished) {
          Finish(*item.group, answer.status, completions);
        }
      }
    } else {
      metrics_.BatchAnswered(placement_.workers().at(session).about.device,
                             answer.forward_time);
      for (int64_t i = 0; i < count; ++i) {
        Answer(batch.items[i], errors[i],
               answer.embeddings.data() + i * dimensions, completions);
      }
    }
    Advance(completions);
  }
  Run(std::move(completions));
  return result;
}

void Router::Stop() {
  Completions completions;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    const auto groups = groups_;
    for (const auto& [time, group] : groups) {
      Finish(*group, Draining(), completions);
    }
  }
  Run(std::move(completions));
}

void Router::SetLoadedListener(LoadedListener listener) {
  absl::MutexLock lock(&mutex_);
  loaded_listener_ = std::move(listener);
}

void Router::ReportLoaded(const std::string& worker_id) {
  if (!loaded_listener_) return;
  std::set<std::string> versions;
  // A worker that came again may have its old session for a moment.
  for (const auto& [session, worker] : placement_.workers()) {
    if (worker.about.id != worker_id) continue;
    for (const auto& [digest, slot] : worker.slots) {
      if (slot.loaded) versions.insert(VersionName(slot.version->version));
    }
  }
  loaded_listener_(worker_id, {versions.begin(), versions.end()});
}

std::vector<std::string> Router::LoadedVersions() const {
  absl::MutexLock lock(&mutex_);
  std::set<std::string> versions;
  for (const auto& [session, worker] : placement_.workers()) {
    for (const auto& [digest, slot] : worker.slots) {
      if (slot.loaded) versions.insert(VersionName(slot.version->version));
    }
  }
  return {versions.begin(), versions.end()};
}

int64_t Router::QueueDepth() const {
  absl::MutexLock lock(&mutex_);
  return batcher_.depth();
}

void Router::Finish(InferenceGroup& group, absl::Status status,
                    Completions& completions) {
  if (group.finished) return;
  group.finished = true;
  if (group.queued > 0) batcher_.Remove(group);
  const auto [first, last] = groups_.equal_range(group.next_check);
  const auto entry = std::find_if(first, last, [&](const auto& candidate) {
    return candidate.second.get() == &group;
  });
  if (entry != last) groups_.erase(entry);
  if (status.ok()) {
    completions.push_back({std::move(group.done), std::move(group.result)});
  } else {
    completions.push_back({std::move(group.done), std::move(status)});
  }
}

void Router::Answer(const InferenceItem& item, absl::Status error,
                    const float* values, Completions& completions) {
  InferenceGroup& group = *item.group;
  if (group.finished) return;
  const int64_t dimensions = group.result.dimensions;
  if (error.ok() && !std::all_of(values, values + dimensions,
                                 [](float v) { return std::isfinite(v); })) {
    error = Error(absl::StatusCode::kInternal, "NON_FINITE_EMBEDDING",
                  absl::StrCat(VersionName(group.version->version),
                               " gives NaN or infinite values for this input"));
  }
  if (error.ok()) {
    std::copy_n(values, dimensions,
                group.result.values.begin() + item.index * dimensions);
  }
  group.result.errors[item.index] = std::move(error);
  if (--group.remaining == 0) Finish(group, absl::OkStatus(), completions);
}

void Router::Retry(InferenceBatch batch, Completions& completions) {
  std::vector<InferenceItem> again;
  for (InferenceItem& item : batch.items) {
    if (item.group->finished) continue;
    if (item.attempts >= options_.max_attempts) {
      metrics_.InferenceRejected("worker_lost", item.group->remaining);
      Finish(*item.group,
             Unavailable("WORKER_LOST",
                         absl::StrCat("workers were lost ", item.attempts,
                                      " times while they computed this")),
             completions);
    } else {
      again.push_back(std::move(item));
    }
  }
  // A group may have ended through a later item.
  std::erase_if(again,
                [](const InferenceItem& item) { return item.group->finished; });
  batcher_.Requeue(std::move(again));
}

}  // namespace attune::core
