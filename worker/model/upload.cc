#include "worker/model/upload.h"

namespace attune::model {

at::Tensor Upload(const at::Tensor& tensor, const at::Device& device) {
  if (!device.is_cuda() || !tensor.is_cpu() || tensor.numel() == 0) {
    return tensor.to(device);
  }
  return tensor.pin_memory().to(device, tensor.scalar_type(),
                                /*non_blocking=*/true);
}

}  // namespace attune::model
