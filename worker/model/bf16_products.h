// Matrix products in bf16: half the bytes and, where the hardware has it, a
// multiple of the speed, at 8 bits of mantissa.

#ifndef ATTUNE_WORKER_MODEL_BF16_PRODUCTS_H_
#define ATTUNE_WORKER_MODEL_BF16_PRODUCTS_H_

#include <c10/core/DeviceType.h>
#include <c10/core/ScalarType.h>

namespace attune::model {

// While it lives, and with `on`, matrix products, convolutions and attention
// that this thread calls on the device round their operands to bf16, sum in
// fp32 and give bf16; their gradients follow. Sums with fp32 tensors, layer
// norms and everything else stay fp32, and so do the tensors of the model. It
// works on every device and is fast on few.
class Bf16Products {
 public:
  Bf16Products(c10::DeviceType device, bool on);
  ~Bf16Products();
  Bf16Products(const Bf16Products&) = delete;
  Bf16Products& operator=(const Bf16Products&) = delete;

 private:
  c10::DeviceType device_;
  bool on_;
  bool was_on_ = false;
  c10::ScalarType was_type_ = c10::ScalarType::BFloat16;
};

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_BF16_PRODUCTS_H_
