#include "worker/task/checkpoint_writer.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/build_info.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "worker/content/tensor_upload.h"
#include "worker/transport/retry.h"

namespace attune::task {

using Json = nlohmann::json;

std::string WrapState(const std::string& trainer_json,
                      const CheckpointIdentity& identity) {
  return Json({{"trainer", trainer_json},
               {"config_digest", identity.config_digest},
               {"reference_digest", identity.reference_digest},
               {"embedding_sources", identity.embedding_sources},
               {"build", BuildInfo()}})
      .dump();
}

absl::StatusOr<std::string> UnwrapState(const std::string& state,
                                        const CheckpointIdentity& identity) {
  const Json json = Json::parse(state, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("trainer") ||
      !json["trainer"].is_string()) {
    return Error(absl::StatusCode::kDataLoss, "INVALID_CHECKPOINT",
                 "the checkpoint has no readable state");
  }
  if (json.value("config_digest", "") != identity.config_digest ||
      json.value("reference_digest", "") != identity.reference_digest) {
    return Error(absl::StatusCode::kFailedPrecondition, "CHECKPOINT_MISMATCH",
                 "the checkpoint belongs to another config or base");
  }
  return json["trainer"].get<std::string>();
}

std::vector<std::string> EmbeddingSources(const std::string& state) {
  std::vector<std::string> sources;
  const Json json = Json::parse(state, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return sources;
  for (const Json& source : json.value("embedding_sources", Json::array())) {
    if (source.is_string()) sources.push_back(source.get<std::string>());
  }
  return sources;
}

CheckpointWriter::CheckpointWriter(transport::ServerConnection& connection,
                                   std::string lease_token,
                                   CheckpointIdentity identity,
                                   std::function<absl::Status()> before_commit)
    : connection_(connection),
      lease_token_(std::move(lease_token)),
      identity_(std::move(identity)),
      before_commit_(std::move(before_commit)),
      thread_([this] { Run(); }) {}

CheckpointWriter::~CheckpointWriter() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  thread_.join();
}

bool CheckpointWriter::busy() const {
  absl::MutexLock lock(&mutex_);
  return writing_ || work_.has_value();
}

absl::Status CheckpointWriter::Save(int64_t step, train::TrainerState state) {
  ATTUNE_RETURN_IF_ERROR(Finish());
  absl::MutexLock lock(&mutex_);
  work_ = Work{step, std::move(state)};
  return absl::OkStatus();
}

absl::Status CheckpointWriter::Finish() {
  absl::MutexLock lock(&mutex_);
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return (!writing_ && !work_.has_value()) || !status_.ok();
  };
  mutex_.Await(absl::Condition(&idle));
  return status_;
}

absl::Status CheckpointWriter::status() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

void CheckpointWriter::Run() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return ending_ || work_.has_value();
    };
    mutex_.Await(absl::Condition(&has_work));
    if (!work_.has_value()) return;
    std::optional<Work> work = std::exchange(work_, std::nullopt);
    writing_ = true;
    mutex_.Unlock();
    absl::Status written = Write(*work);
    // Frees the copy of the weights before the next one is made.
    work.reset();
    mutex_.Lock();
    writing_ = false;
    if (!written.ok()) {
      status_ = std::move(written);
      return;
    }
  }
}

absl::Status CheckpointWriter::Write(const Work& work) {
  v1::CommitCheckpointRequest request;
  request.set_lease_token(lease_token_);
  v1::CheckpointContent* checkpoint = request.mutable_checkpoint();
  checkpoint->set_step(work.step);
  checkpoint->set_state(WrapState(work.state.json, identity_));
  ATTUNE_ASSIGN_OR_RETURN(
      *checkpoint->mutable_manifest(),
      content::UploadTensors(connection_, lease_token_, work.state.tensors));
  ATTUNE_RETURN_IF_ERROR(before_commit_());
  return transport::Retry(connection_.stop(), "CommitCheckpoint", [&] {
    return connection_.CommitCheckpoint(request);
  });
}

}  // namespace attune::task
