// API keys: attune_ID_SECRET, where ID has 12 and SECRET 64 hexadecimal digits
// (256 random bits). The database holds the SHA-256 of the whole key.

#ifndef ATTUNE_SERVER_CORE_ACCESS_API_KEYS_H_
#define ATTUNE_SERVER_CORE_ACCESS_API_KEYS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/state_store.h"

namespace attune::core {

// Makes a key, stores it and returns its text, which nobody can ask for again.
// INVALID_ARGUMENT, reason INVALID_NAME; ALREADY_EXISTS when a key that is not
// revoked has the name; the store's errors.
absl::StatusOr<std::string> CreateApiKey(storage::StateStore& store,
                                         absl::string_view name,
                                         storage::Role role, absl::Time now);

// Revokes the key with this id or name and returns it as it is then. NOT_FOUND
// when there is none that is not revoked.
absl::StatusOr<storage::ApiKey> RevokeApiKey(storage::StateStore& store,
                                             absl::string_view id_or_name,
                                             absl::Time now);

absl::StatusOr<std::vector<storage::ApiKey>> ListApiKeys(
    storage::StateStore& store);

// The keys in memory, so that a call is checked without the disk. Thread-safe.
class ApiKeys {
 public:
  // Reads the keys again; whether one is new or revoked. The store's errors,
  // which change nothing here. Blocks on the disk.
  absl::StatusOr<bool> Refresh(storage::StateStore& store);

  // Whether a key was ever made: revoking the last one opens nothing.
  bool any() const;

  // The key with this text. UNAUTHENTICATED, reason KEY_INVALID when there is
  // none, KEY_REVOKED; neither message holds the text.
  absl::StatusOr<storage::ApiKey> Find(absl::string_view text) const;

  // Whether the key that Find returned still holds. UNAUTHENTICATED, reason
  // KEY_REVOKED.
  absl::Status Check(absl::string_view id) const;

 private:
  using Keys = std::map<std::string, storage::ApiKey, std::less<>>;

  std::shared_ptr<const Keys> keys() const;

  mutable absl::Mutex mutex_;
  // By id; replaced, never changed.
  std::shared_ptr<const Keys> keys_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<Keys>();
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_ACCESS_API_KEYS_H_
