#ifndef ATTUNE_WORKER_SERVE_VERSION_TABLE_H_
#define ATTUNE_WORKER_SERVE_VERSION_TABLE_H_

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "attune/v1/worker_service.pb.h"
#include "worker/content/version_loader.h"
#include "worker/transport/server_connection.h"

namespace attune::serve {

// The versions in memory, by version digest. Tensors with the same blob exist
// once: versions of one job have most of theirs in common. Thread-safe.
class VersionTable {
 public:
  using Loaded = std::shared_ptr<const content::LoadedVersion>;

  explicit VersionTable(at::Device device) : device_(device) {}

  // Fetches a version over `connection`, unless it is there. Errors of
  // content::LoadVersion. For one thread at a time.
  absl::Status Load(transport::ServerConnection& connection,
                    const v1::VersionContent& content);

  // Its memory is free once nobody uses it.
  void Unload(const std::string& digest);
  void Clear();

  // nullptr when it is not loaded.
  Loaded Find(const std::string& digest) const;

 private:
  const at::Device device_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Loaded> versions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::serve

#endif  // ATTUNE_WORKER_SERVE_VERSION_TABLE_H_
