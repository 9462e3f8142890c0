#include "server/services/serve_codec.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/grpc/time_conversion.h"

namespace attune::services {
namespace {

constexpr int kMaxSlots = 1024;
constexpr int kMaxBatchSize = 4096;
constexpr size_t kMaxWorkerId = 200;

}  // namespace

absl::Status FromProto(const v1::ItemError& error) {
  const bool known =
      error.code() > 0 &&
      error.code() <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  return Error(known ? static_cast<absl::StatusCode>(error.code())
                     : absl::StatusCode::kInternal,
               error.reason().empty() ? "WORKER_ERROR" : error.reason(),
               error.message());
}

v1::ItemError ToItemError(const absl::Status& status) {
  v1::ItemError error;
  error.set_code(static_cast<int>(status.code()));
  error.set_reason(ErrorReason(status));
  error.set_message(std::string(status.message()));
  return error;
}

absl::StatusOr<core::ServingWorker> FromProto(
    const v1::ServeRequest::Hello& hello) {
  if (hello.worker_id().empty() || hello.worker_id().size() > kMaxWorkerId) {
    return InvalidField("hello.worker_id",
                        absl::StrCat("1 to ", kMaxWorkerId, " characters"));
  }
  if (hello.version_slots() < 1 || hello.version_slots() > kMaxSlots) {
    return InvalidField("hello.version_slots",
                        absl::StrCat("must be 1 to ", kMaxSlots));
  }
  if (hello.preferred_batch_size() < 1 ||
      hello.preferred_batch_size() > kMaxBatchSize) {
    return InvalidField("hello.preferred_batch_size",
                        absl::StrCat("must be 1 to ", kMaxBatchSize));
  }
  // The device is a label of the metrics: nothing else may come in there.
  if (hello.device().kind() != "cpu" && hello.device().kind() != "cuda") {
    return InvalidField("hello.device.kind", "must be \"cpu\" or \"cuda\"");
  }
  return core::ServingWorker{
      .id = hello.worker_id(),
      .device = hello.device().kind(),
      .version_slots = hello.version_slots(),
      .preferred_batch_size = hello.preferred_batch_size()};
}

core::BatchAnswer FromProto(const v1::ServeRequest::BatchResult& result) {
  core::BatchAnswer answer;
  answer.batch_id = result.batch_id();
  answer.embeddings = {result.embeddings().begin(), result.embeddings().end()};
  for (const v1::ServeRequest::BatchItemError& item : result.errors()) {
    answer.item_errors.emplace_back(item.item(), FromProto(item.error()));
  }
  if (result.has_error()) answer.status = FromProto(result.error());
  answer.forward_time = FromProtoDuration(result.forward_time());
  return answer;
}

v1::ServeResponse::Batch ToProto(const core::InferenceBatch& batch) {
  v1::ServeResponse::Batch proto;
  proto.set_batch_id(batch.id);
  proto.set_version_digest(batch.version->version.digest);
  for (const core::InferenceItem& item : batch.items) {
    if (batch.kind == core::InputKind::kImage) {
      proto.add_images(item.input.image);
    } else {
      proto.add_texts()->mutable_tokens()->Assign(item.input.tokens.begin(),
                                                  item.input.tokens.end());
    }
  }
  return proto;
}

}  // namespace attune::services
