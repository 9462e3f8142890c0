// Messages of the Serve stream from and to server/core's values.

#ifndef ATTUNE_SERVER_SERVICES_SERVE_CODEC_H_
#define ATTUNE_SERVER_SERVICES_SERVE_CODEC_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/inference_service.pb.h"
#include "attune/v1/worker_service.pb.h"
#include "server/core/inference/inference.h"

namespace attune::services {

// An error of one item, from and to its wire form. A code that is none of
// google.rpc.Code, or OK, becomes INTERNAL.
absl::Status FromProto(const v1::ItemError& error);
v1::ItemError ToItemError(const absl::Status& status);

// INVALID_ARGUMENT naming the field of Hello that makes no sense.
absl::StatusOr<core::ServingWorker> FromProto(
    const v1::ServeRequest::Hello& hello);

// Sizes are checked by the router.
core::BatchAnswer FromProto(const v1::ServeRequest::BatchResult& result);

v1::ServeResponse::Batch ToProto(const core::InferenceBatch& batch);

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_SERVE_CODEC_H_
