// Tensors on their way to a GPU.

#ifndef ATTUNE_WORKER_MODEL_UPLOAD_H_
#define ATTUNE_WORKER_MODEL_UPLOAD_H_

#include <ATen/core/Tensor.h>

namespace attune::model {

// The tensor on `device`; itself where it lies there already. From the CPU to
// a GPU it goes through page-locked memory, so that the caller does not wait
// for what the GPU still has to do, and may change `tensor` at once. What the
// calling thread asks of the GPU afterwards sees the copy.
//
// For what a step or a batch sends. The copy in page-locked memory is kept for
// later uploads, so tensors of a model, which are sent once, do not go this
// way.
at::Tensor Upload(const at::Tensor& tensor, const at::Device& device);

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_UPLOAD_H_
