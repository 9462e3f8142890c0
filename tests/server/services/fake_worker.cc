#include "tests/server/services/fake_worker.h"

#include <cmath>
#include <utility>

#include "common/digest.h"
#include "common/grpc/channel.h"
#include "common/grpc/time_conversion.h"

namespace attune::services {

FakeWorker::FakeWorker(const std::string& address, Options options)
    : options_(std::move(options)),
      stub_(v1::WorkerService::NewStub(
          ConnectTo(address, {.security = {.api_key = options_.api_key}}))),
      silent_(options_.silent) {
  v1::RegisterRequest request;
  request.set_worker_id(options_.id);
  request.add_roles(v1::WORKER_ROLE_SERVE);
  request.mutable_device()->set_kind("cpu");
  v1::RegisterResponse response;
  grpc::ClientContext context;
  stub_->Register(&context, request, &response);
  stream_ = stub_->Serve(&context_);
  v1::ServeRequest hello;
  hello.mutable_hello()->set_worker_id(options_.id);
  hello.mutable_hello()->mutable_device()->set_kind("cpu");
  hello.mutable_hello()->set_version_slots(options_.version_slots);
  hello.mutable_hello()->set_preferred_batch_size(
      options_.preferred_batch_size);
  stream_->Write(hello);
  thread_ = std::thread([this] { Run(); });
}

FakeWorker::~FakeWorker() {
  context_.TryCancel();
  thread_.join();
}

std::vector<float> FakeWorker::Embed(absl::string_view bytes, int dimensions) {
  const std::string digest = Sha256Hex(bytes);
  std::vector<float> values(dimensions);
  double square = 0;
  for (int i = 0; i < dimensions; ++i) {
    values[i] = static_cast<float>(digest[i]) - 75;
    square += static_cast<double>(values[i]) * values[i];
  }
  for (float& value : values) {
    value = static_cast<float>(value / std::sqrt(square));
  }
  return values;
}

std::vector<float> FakeWorker::Embed(const std::vector<int32_t>& tokens,
                                     int dimensions) {
  return Embed(absl::string_view(reinterpret_cast<const char*>(tokens.data()),
                                 tokens.size() * sizeof(int32_t)),
               dimensions);
}

void FakeWorker::Release() {
  absl::MutexLock lock(&mutex_);
  silent_ = false;
  for (const v1::ServeRequest& answer : kept_) stream_->Write(answer);
  kept_.clear();
}

void FakeWorker::AwaitBatches(int count) {
  const auto enough = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return static_cast<int>(batch_sizes_.size()) >= count;
  };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&enough));
}

std::vector<int> FakeWorker::batch_sizes() const {
  absl::MutexLock lock(&mutex_);
  return batch_sizes_;
}

std::vector<std::string> FakeWorker::loads() const {
  absl::MutexLock lock(&mutex_);
  return loads_;
}

grpc::Status FakeWorker::AwaitEnd() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&ended_));
  return end_status_;
}

void FakeWorker::Run() {
  v1::ServeResponse message;
  while (stream_->Read(&message)) Answer(message);
  const grpc::Status status = stream_->Finish();
  absl::MutexLock lock(&mutex_);
  end_status_ = status;
  ended_ = true;
}

void FakeWorker::Answer(const v1::ServeResponse& message) {
  v1::ServeRequest answer;
  if (message.has_load()) {
    const std::string& digest = message.load().version().digest();
    answer.mutable_load_result()->set_version_digest(digest);
    if (!options_.load_error.empty()) {
      v1::ItemError* error = answer.mutable_load_result()->mutable_error();
      error->set_code(grpc::StatusCode::RESOURCE_EXHAUSTED);
      error->set_reason(options_.load_error);
      error->set_message("the fake worker refuses");
    }
    absl::MutexLock lock(&mutex_);
    loads_.push_back(digest);
  } else if (message.has_batch()) {
    const v1::ServeResponse::Batch& batch = message.batch();
    v1::ServeRequest::BatchResult* result = answer.mutable_batch_result();
    result->set_batch_id(batch.batch_id());
    *result->mutable_forward_time() = ToProtoDuration(absl::Milliseconds(7));
    std::vector<float> values;
    for (int i = 0; i < batch.images_size(); ++i) {
      values = Embed(batch.images(i), options_.dimensions);
      result->mutable_embeddings()->Add(values.begin(), values.end());
      // What cannot be decoded although its header is fine.
      if (batch.images(i).find("damaged") != std::string::npos) {
        v1::ServeRequest::BatchItemError* error = result->add_errors();
        error->set_item(i);
        error->mutable_error()->set_code(grpc::StatusCode::INVALID_ARGUMENT);
        error->mutable_error()->set_reason("INVALID_IMAGE");
        error->mutable_error()->set_message("cannot be decoded");
      }
    }
    for (const v1::ServeResponse::TokenRow& row : batch.texts()) {
      values = Embed({row.tokens().begin(), row.tokens().end()},
                     options_.dimensions);
      result->mutable_embeddings()->Add(values.begin(), values.end());
    }
    absl::MutexLock lock(&mutex_);
    batch_sizes_.push_back(batch.images_size() + batch.texts_size());
    if (silent_) {
      kept_.push_back(answer);
      return;
    }
  } else {
    return;
  }
  absl::MutexLock lock(&mutex_);
  stream_->Write(answer);
}

}  // namespace attune::services
