// Times and durations between Abseil and protobuf.

#ifndef ATTUNE_COMMON_GRPC_TIME_CONVERSION_H_
#define ATTUNE_COMMON_GRPC_TIME_CONVERSION_H_

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace attune {

// Nanoseconds are kept; what is finer is cut off. Infinite values become the
// largest that protobuf allows: the year 9999 and 10,000 years.
google::protobuf::Timestamp ToProtoTimestamp(absl::Time time);
google::protobuf::Duration ToProtoDuration(absl::Duration duration);

absl::Time FromProtoTimestamp(const google::protobuf::Timestamp& timestamp);
absl::Duration FromProtoDuration(const google::protobuf::Duration& duration);

}  // namespace attune

#endif  // ATTUNE_COMMON_GRPC_TIME_CONVERSION_H_
