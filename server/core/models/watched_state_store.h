#ifndef ATTUNE_SERVER_CORE_MODELS_WATCHED_STATE_STORE_H_
#define ATTUNE_SERVER_CORE_MODELS_WATCHED_STATE_STORE_H_

#include <atomic>
#include <cstdint>

#include "storage/state_store.h"

namespace attune::core {

// A state store that counts the committed transactions that may have changed
// models, so that what was read of them can be kept in memory until then.
// Thread-safe.
class WatchedStateStore final : public storage::StateStore {
 public:
  // `store` outlives this.
  explicit WatchedStateStore(storage::StateStore& store) : store_(store) {}

  absl::Status Write(absl::FunctionRef<absl::Status(storage::StateTransaction&)>
                         body) override;
  absl::Status Read(absl::FunctionRef<absl::Status(storage::StateTransaction&)>
                        body) override {
    return store_.Read(body);
  }

  // What was read when this number was smaller may be out of date. A write has
  // raised it when it returns.
  uint64_t model_generation() const {
    return generation_.load(std::memory_order_acquire);
  }

 private:
  storage::StateStore& store_;
  std::atomic<uint64_t> generation_ = 0;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_MODELS_WATCHED_STATE_STORE_H_
