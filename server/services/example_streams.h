#ifndef ATTUNE_SERVER_SERVICES_EXAMPLE_STREAMS_H_
#define ATTUNE_SERVER_SERVICES_EXAMPLE_STREAMS_H_

#include <memory>
#include <string>

#include "attune/v1/dataset_service.pb.h"
#include "server/core/datasets/dataset_manager.h"
#include "server/services/stream_call.h"
#include "storage/blob_store.h"

namespace attune::services {

// DatasetService.UploadExamples: one header, then chunks, then one end.
std::unique_ptr<
    UploadHandler<v1::UploadExamplesRequest, v1::UploadExamplesResponse>>
NewExampleUpload(core::DatasetManager& datasets);

// DatasetService.DownloadExamples: chunks, then one end.
std::unique_ptr<DownloadHandler<v1::DownloadExamplesResponse>>
NewExampleDownload(const core::DatasetManager& datasets,
                   const storage::BlobStore& blobs, std::string dataset);

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_EXAMPLE_STREAMS_H_
