#include "common/grpc/status_conversion.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace attune {
namespace {

// gRPC's default limit of a client for all trailers of a call.
constexpr size_t kTrailerLimit = 8192;

TEST(StatusConversion, OkIsOkBothWays) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST(StatusConversion, EveryCodeKeepsItsMeaning) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status wire = ToGrpcStatus(status);
    EXPECT_EQ(static_cast<int>(wire.error_code()), code);
    EXPECT_EQ(wire.error_message(), "why");
    EXPECT_EQ(FromGrpcStatus(wire), status);
  }
}

TEST(StatusConversion, ReasonFieldsAndDelayComeBack) {
  const absl::Status status =
      WithRetryDelay(InvalidFields("BAD_JOB", {{"train.epochs", "must be ≥ 0"},
                                               {"train.steps", "is missing"}}),
                     absl::Milliseconds(1500));
  EXPECT_EQ(FromGrpcStatus(ToGrpcStatus(status)), status);
}

TEST(StatusConversion, TheWireFormIsGoogleRpcStatus) {
  const grpc::Status wire = ToGrpcStatus(InvalidField("name", "is empty"));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(wire.error_details()));
  EXPECT_EQ(details.code(), 3);
  EXPECT_EQ(details.message(), wire.error_message());
  ASSERT_EQ(details.details_size(), 2);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.domain(), "attune");
  EXPECT_EQ(info.reason(), "INVALID_FIELD");
  google::rpc::BadRequest request;
  ASSERT_TRUE(details.details(1).UnpackTo(&request));
  ASSERT_EQ(request.field_violations_size(), 1);
  EXPECT_EQ(request.field_violations(0).field(), "name");
  EXPECT_EQ(request.field_violations(0).description(), "is empty");
}

TEST(StatusConversion, AHundredShortFieldsAllFit) {
  std::vector<FieldViolation> fields;
  for (int i = 0; i < 100; ++i) {
    fields.push_back({absl::StrCat("examples[", 1'000'000 + i, "]"),
                      "the pair has no rejected text"});
  }
  const grpc::Status wire = ToGrpcStatus(InvalidFields("BAD", fields));
  EXPECT_TRUE(ErrorFields(FromGrpcStatus(wire)) == fields);
  EXPECT_LT(wire.error_details().size() + wire.error_message().size(),
            kTrailerLimit);
}

TEST(StatusConversion, WhatDoesNotFitTheTrailerIsCut) {
  const std::vector<FieldViolation> fields(
      200, {std::string(2000, 'f'), std::string(3000, 'd')});
  std::string message;
  for (int i = 0; i < 4000; ++i) message += "é";
  const grpc::Status wire = ToGrpcStatus(WithErrorFields(
      Error(absl::StatusCode::kInvalidArgument, "BAD", message), fields));
  EXPECT_LT(wire.error_details().size() + wire.error_message().size(),
            kTrailerLimit);
  const absl::Status back = FromGrpcStatus(wire);
  EXPECT_EQ(ErrorReason(back), "BAD");
  EXPECT_FALSE(ErrorFields(back).empty());
}

TEST(StatusConversion, DetailsThatAreNotOursAreLeftOut) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  info.set_domain("example.com");
  info.set_reason("OTHER");
  details.add_details()->PackFrom(info);
  EXPECT_EQ(FromGrpcStatus(grpc::Status(grpc::StatusCode::ABORTED, "m",
                                        details.SerializeAsString())),
            absl::AbortedError("m"));
  EXPECT_EQ(FromGrpcStatus(
                grpc::Status(grpc::StatusCode::ABORTED, "m", "\xff\xff\xff")),
            absl::AbortedError("m"));
}

}  // namespace
}  // namespace attune
