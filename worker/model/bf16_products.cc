#include "worker/model/bf16_products.h"

#include <ATen/autocast_mode.h>

namespace attune::model {

Bf16Products::Bf16Products(c10::DeviceType device, bool on)
    : device_(device), on_(on) {
  if (!on_) return;
  was_on_ = at::autocast::is_autocast_enabled(device_);
  was_type_ = at::autocast::get_autocast_dtype(device_);
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::increment_nesting();
}

Bf16Products::~Bf16Products() {
  if (!on_) return;
  // Rounded weights are kept within the outermost scope: they change after a
  // step.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, was_on_);
  at::autocast::set_autocast_dtype(device_, was_type_);
}

}  // namespace attune::model
