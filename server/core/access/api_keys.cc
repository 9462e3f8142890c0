#include "server/core/access/api_keys.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/names.h"
#include "common/status_macros.h"

namespace attune::core {
namespace {

constexpr absl::string_view kPrefix = "attune_";
constexpr int kIdBytes = 6;
constexpr int kSecretBytes = 32;

// The id within a key's text, or "" where the text has not the form of a key.
absl::string_view IdOf(absl::string_view text) {
  constexpr size_t kIdSize = 2 * kIdBytes;
  constexpr size_t kKeySize = kIdSize + 1 + 2 * kSecretBytes;
  if (!absl::ConsumePrefix(&text, kPrefix) || text.size() != kKeySize ||
      text[kIdSize] != '_') {
    return "";
  }
  return text.substr(0, kIdSize);
}

absl::Status Revoked(const storage::ApiKey& key) {
  return Error(absl::StatusCode::kUnauthenticated, "KEY_REVOKED",
               absl::StrCat("the API key '", key.name,
                            "' is revoked: ask for another one"));
}

}  // namespace

absl::StatusOr<std::string> CreateApiKey(storage::StateStore& store,
                                         absl::string_view name,
                                         storage::Role role, absl::Time now) {
  ATTUNE_RETURN_IF_ERROR(ValidateName("name", name));
  storage::ApiKey key = {.id = RandomHex(kIdBytes),
                         .name = std::string(name),
                         .role = role,
                         .digest = {},
                         .create_time = now,
                         .revoke_time = {}};
  std::string text =
      absl::StrCat(kPrefix, key.id, "_", RandomHex(kSecretBytes));
  key.digest = Sha256Hex(text);
  ATTUNE_RETURN_IF_ERROR(
      store.Write([&](storage::StateTransaction& transaction) {
        return transaction.api_keys().Insert(key);
      }));
  return text;
}

absl::StatusOr<storage::ApiKey> RevokeApiKey(storage::StateStore& store,
                                             absl::string_view id_or_name,
                                             absl::Time now) {
  storage::ApiKey revoked;
  ATTUNE_RETURN_IF_ERROR(
      store.Write([&](storage::StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const std::vector<storage::ApiKey> keys,
                                transaction.api_keys().List());
        const auto found = std::find_if(
            keys.begin(), keys.end(), [&](const storage::ApiKey& key) {
              return !key.revoke_time.has_value() &&
                     (key.id == id_or_name || key.name == id_or_name);
            });
        if (found == keys.end()) return NotFound("API key", id_or_name);
        revoked = *found;
        revoked.revoke_time = now;
        return transaction.api_keys().Revoke(revoked.id, now);
      }));
  return revoked;
}

absl::StatusOr<std::vector<storage::ApiKey>> ListApiKeys(
    storage::StateStore& store) {
  std::vector<storage::ApiKey> keys;
  ATTUNE_RETURN_IF_ERROR(
      store.Read([&](storage::StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(keys, transaction.api_keys().List());
        return absl::OkStatus();
      }));
  return keys;
}

absl::StatusOr<bool> ApiKeys::Refresh(storage::StateStore& store) {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<storage::ApiKey> read,
                          ListApiKeys(store));
  auto fresh = std::make_shared<Keys>();
  for (storage::ApiKey& key : read) {
    std::string id = key.id;
    fresh->emplace(std::move(id), std::move(key));
  }
  const auto same = [](const auto& a, const auto& b) {
    return a.first == b.first &&
           a.second.revoke_time.has_value() == b.second.revoke_time.has_value();
  };
  absl::MutexLock lock(&mutex_);
  const bool changed = !std::equal(keys_->begin(), keys_->end(), fresh->begin(),
                                   fresh->end(), same);
  if (changed) keys_ = std::move(fresh);
  return changed;
}

bool ApiKeys::any() const { return !keys()->empty(); }

absl::StatusOr<storage::ApiKey> ApiKeys::Find(absl::string_view text) const {
  const std::shared_ptr<const Keys> known = keys();
  // Also for an unknown id, so that the time does not tell which ids exist.
  const std::string digest = Sha256Hex(text);
  const auto found = known->find(IdOf(text));
  if (found == known->end() || !EqualSecrets(found->second.digest, digest)) {
    return Error(absl::StatusCode::kUnauthenticated, "KEY_INVALID",
                 "the API key is none of this server's: check the file that "
                 "it is read from");
  }
  if (found->second.revoke_time.has_value()) return Revoked(found->second);
  return found->second;
}

absl::Status ApiKeys::Check(absl::string_view id) const {
  const std::shared_ptr<const Keys> known = keys();
  const auto found = known->find(id);
  if (found == known->end()) {
    return Error(absl::StatusCode::kUnauthenticated, "KEY_INVALID",
                 "the API key is gone");
  }
  return found->second.revoke_time.has_value() ? Revoked(found->second)
                                               : absl::OkStatus();
}

std::shared_ptr<const ApiKeys::Keys> ApiKeys::keys() const {
  absl::MutexLock lock(&mutex_);
  return keys_;
}

}  // namespace attune::core
