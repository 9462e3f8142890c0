#include "common/grpc/status_conversion.h"

#include <cstddef>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/grpc/time_conversion.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace attune {
namespace {

constexpr size_t kMaxMessageBytes = 512;
constexpr size_t kMaxFieldBytes = 5632;

// `text` cut so that no UTF-8 character is split: protobuf refuses a string
// that is not UTF-8.
std::string Cut(absl::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
    --end;
  }
  return std::string(text.substr(0, end)) + "…";
}

google::rpc::BadRequest ToBadRequest(
    const std::vector<FieldViolation>& violations) {
  google::rpc::BadRequest request;
  for (const FieldViolation& violation : violations) {
    google::rpc::BadRequest::FieldViolation added;
    added.set_field(Cut(violation.field, kMaxMessageBytes));
    added.set_description(Cut(violation.description, kMaxMessageBytes));
    if (request.ByteSizeLong() + added.ByteSizeLong() > kMaxFieldBytes) break;
    *request.add_field_violations() = added;
  }
  return request;
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(Cut(status.message(), kMaxMessageBytes));
  if (std::string reason = ErrorReason(status); !reason.empty()) {
    google::rpc::ErrorInfo info;
    info.set_reason(reason);
    info.set_domain(std::string(kErrorDomain));
    details.add_details()->PackFrom(info);
  }
  if (auto violations = ErrorFields(status); !violations.empty()) {
    details.add_details()->PackFrom(ToBadRequest(violations));
  }
  if (auto delay = ErrorRetryDelay(status)) {
    google::rpc::RetryInfo retry;
    *retry.mutable_retry_delay() = ToProtoDuration(*delay);
    details.add_details()->PackFrom(retry);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      details.message(), details.SerializeAsString());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
  google::rpc::Status details;
  if (status.error_details().empty() ||
      !details.ParseFromString(status.error_details())) {
    return result;
  }
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest request;
  google::rpc::RetryInfo retry;
  for (const google::protobuf::Any& detail : details.details()) {
    if (detail.UnpackTo(&info) && info.domain() == kErrorDomain) {
      result = WithReason(std::move(result), info.reason());
    } else if (detail.UnpackTo(&request)) {
      std::vector<FieldViolation> violations;
      for (const auto& violation : request.field_violations()) {
        violations.push_back({violation.field(), violation.description()});
      }
      result = WithErrorFields(std::move(result), violations);
    } else if (detail.UnpackTo(&retry)) {
      result = WithRetryDelay(std::move(result),
                              FromProtoDuration(retry.retry_delay()));
    }
  }
  return result;
}

}  // namespace attune
