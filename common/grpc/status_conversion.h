// The one place where errors cross between absl::Status and gRPC.
//
// On the wire an error is a canonical code, a message and, in the trailer
// grpc-status-details-bin, a google.rpc.Status with
//   ErrorInfo    domain "attune" and the reason of common/error.h,
//   BadRequest   the fields that are wrong,
//   RetryInfo    the delay after which trying again makes sense.

#ifndef ATTUNE_COMMON_GRPC_STATUS_CONVERSION_H_
#define ATTUNE_COMMON_GRPC_STATUS_CONVERSION_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace attune {

// The domain of every ErrorInfo of this project.
inline constexpr absl::string_view kErrorDomain = "attune";

// The wire form of a status. gRPC clients refuse trailers above 8 KiB unless
// told otherwise, so a message is cut at 512 bytes and the fields at 5.5 KiB
// (more than a hundred short ones).
grpc::Status ToGrpcStatus(const absl::Status& status);

// The inverse. Details that cannot be read, or that come from another domain,
// are left out; code and message are always kept.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace attune

#endif  // ATTUNE_COMMON_GRPC_STATUS_CONVERSION_H_
