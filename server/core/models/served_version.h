#ifndef ATTUNE_SERVER_CORE_MODELS_SERVED_VERSION_H_
#define ATTUNE_SERVER_CORE_MODELS_SERVED_VERSION_H_

#include <optional>

#include "server/core/models/linear_head.h"
#include "storage/records.h"

namespace attune::core {

// A version with what serving it needs. Immutable, shared by the calls that
// use it.
struct ServedVersion {
  storage::Version version;
  storage::TensorManifest manifest;
  // s = exp(logit_scale), read from the version's own tensor.
  double scale = 1;
  // Of a version that was trained with one.
  std::optional<LinearHead> head;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_MODELS_SERVED_VERSION_H_
