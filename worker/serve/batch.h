#ifndef ATTUNE_WORKER_SERVE_BATCH_H_
#define ATTUNE_WORKER_SERVE_BATCH_H_

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "attune/v1/inference_service.pb.h"
#include "attune/v1/worker_service.pb.h"
#include "worker/content/version_loader.h"
#include "worker/content/work_pool.h"
#include "worker/decode/picture_decoder.h"

namespace attune::serve {

// Embeds the images or texts of a batch, L2-normalised, and fills in
// forward_time. An image that does not decode is an error of its own
// (INVALID_IMAGE) with zeros for an embedding; what fails for all is the
// batch's error. Images are decoded by `decoder`, called on `pool`, tensors
// computed in the calling thread.
v1::ServeRequest::BatchResult RunBatch(const content::LoadedVersion& version,
                                       const v1::ServeResponse::Batch& batch,
                                       const at::Device& device,
                                       decode::PictureDecoder& decoder,
                                       content::WorkPool& pool);

// The error on the wire.
v1::ItemError ToItemError(const absl::Status& status);

}  // namespace attune::serve

#endif  // ATTUNE_WORKER_SERVE_BATCH_H_
