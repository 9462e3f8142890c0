#ifndef ATTUNE_SERVER_SERVICES_BLOB_STREAMS_H_
#define ATTUNE_SERVER_SERVICES_BLOB_STREAMS_H_

#include <memory>
#include <string>
#include <vector>

#include "attune/v1/worker_service.pb.h"
#include "server/core/leases/task_reports.h"
#include "server/services/stream_call.h"
#include "storage/blob_store.h"

namespace attune::services {

inline constexpr int kMaxDigests = 10'000;

// INVALID_ARGUMENT naming the field unless there are at most kMaxDigests, each
// a SHA-256.
absl::Status ValidateDigests(
    const google::protobuf::RepeatedPtrField<std::string>& digests);

// WorkerService.PutBlobs: the blobs are durable when the call ends.
std::unique_ptr<UploadHandler<v1::PutBlobsRequest, v1::PutBlobsResponse>>
NewBlobUpload(const core::TaskReports& reports, storage::BlobStore& blobs);

// WorkerService.GetBlobs. Holds one blob at a time.
std::unique_ptr<DownloadHandler<v1::GetBlobsResponse>> NewBlobDownload(
    const storage::BlobStore& blobs, const v1::GetBlobsRequest& request);

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_BLOB_STREAMS_H_
