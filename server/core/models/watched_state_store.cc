#include "server/core/models/watched_state_store.h"

#include <string>
#include <vector>

namespace attune::core {
namespace {

// Notes whether the models were asked for.
class WatchedTransaction final : public storage::StateTransaction {
 public:
  explicit WatchedTransaction(storage::StateTransaction& transaction)
      : transaction_(transaction) {}

  storage::DatasetStore& datasets() override { return transaction_.datasets(); }
  storage::JobStore& jobs() override { return transaction_.jobs(); }
  storage::ModelStore& models() override {
    models_used_ = true;
    return transaction_.models();
  }
  storage::RequestStore& requests() override { return transaction_.requests(); }
  storage::UploadStore& uploads() override { return transaction_.uploads(); }
  storage::ApiKeyStore& api_keys() override { return transaction_.api_keys(); }
  absl::StatusOr<std::vector<std::string>> FindReferencedBlobs(
      absl::Span<const std::string> digests) override {
    return transaction_.FindReferencedBlobs(digests);
  }
  absl::StatusOr<std::vector<std::string>> ListReferencedBlobs(
      absl::string_view after, int limit) override {
    return transaction_.ListReferencedBlobs(after, limit);
  }

  bool models_used() const { return models_used_; }

 private:
  storage::StateTransaction& transaction_;
  bool models_used_ = false;
};

}  // namespace

absl::Status WatchedStateStore::Write(
    absl::FunctionRef<absl::Status(storage::StateTransaction&)> body) {
  bool models_used = false;
  absl::Status status =
      store_.Write([&](storage::StateTransaction& transaction) {
        WatchedTransaction watched(transaction);
        absl::Status result = body(watched);
        models_used = watched.models_used();
        return result;
      });
  // Also after an error: a commit may have failed after it was durable.
  if (models_used) generation_.fetch_add(1, std::memory_order_acq_rel);
  return status;
}

}  // namespace attune::core
