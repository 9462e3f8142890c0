#include "worker/serve/version_table.h"

#include <utility>

#include "common/status_macros.h"

namespace attune::serve {

absl::Status VersionTable::Load(transport::ServerConnection& connection,
                                const v1::VersionContent& content) {
  content::TensorsByDigest known;
  {
    absl::MutexLock lock(&mutex_);
    if (versions_.count(content.digest()) > 0) return absl::OkStatus();
    for (const auto& [digest, version] : versions_) {
      known.insert(version->by_digest.begin(), version->by_digest.end());
    }
  }
  ATTUNE_ASSIGN_OR_RETURN(
      content::LoadedVersion version,
      content::LoadVersion(connection, content, device_, known));
  absl::MutexLock lock(&mutex_);
  versions_[content.digest()] =
      std::make_shared<const content::LoadedVersion>(std::move(version));
  return absl::OkStatus();
}

void VersionTable::Unload(const std::string& digest) {
  absl::MutexLock lock(&mutex_);
  versions_.erase(digest);
}

void VersionTable::Clear() {
  absl::MutexLock lock(&mutex_);
  versions_.clear();
}

VersionTable::Loaded VersionTable::Find(const std::string& digest) const {
  absl::MutexLock lock(&mutex_);
  const auto found = versions_.find(digest);
  return found == versions_.end() ? nullptr : found->second;
}

}  // namespace attune::serve
