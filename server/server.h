#ifndef ATTUNE_SERVER_SERVER_H_
#define ATTUNE_SERVER_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/grpc/tls.h"
#include "server/core/garbage_collector.h"
#include "server/core/inference/router.h"
#include "server/core/leases/lease_table.h"
#include "storage/sqlite/sqlite_stores.h"

namespace attune {

struct ServerOptions {
  // Made when it is missing.
  std::string data_dir;
  // HOST:PORT, port 0 for a free one. Hosts other than loopback need TLS or
  // allow_plaintext.
  std::string listen = "127.0.0.1:7700";
  // The same for /metrics; "" for none.
  std::string metrics = "127.0.0.1:9700";
  // Of the API. With `ca`, workers show a certificate that one of these
  // authorities has signed.
  TlsFiles tls;
  bool allow_plaintext = false;
  // Calls need an API key even before the first one is made.
  bool require_auth = false;

  // What is read of the databases at the start, and who may still write when
  // the disk fills up.
  storage::IntegrityCheck check = storage::IntegrityCheck::kQuick;
  storage::DiskSpaceOptions disk;
  // Threads for work that blocks on the disk.
  int blocking_threads = 8;
  // Calls at a time on one connection.
  int max_concurrent_streams = 1024;
  // Bytes of messages on their way in; gRPC resets streams, any of them, to
  // stay below. It applies its limit of a message to whole ones only.
  int64_t max_buffered_bytes = int64_t{512} << 20;
  // Streams of users open at a time: uploads and imports, downloads and
  // exports, watches of jobs.
  int max_uploads = 64;
  int max_downloads = 64;
  int max_watches = 1024;
  int64_t text_cache_bytes = int64_t{64} << 20;
  int64_t label_cache_bytes = int64_t{64} << 20;
  core::RouterOptions router;
  core::LeaseOptions lease;
  core::GarbageOptions garbage;
  // How long running calls may take once the server stops.
  absl::Duration drain_timeout = absl::Seconds(30);
};

// The whole of attune-server: stores, managers, services and the gRPC server.
class Server {
 public:
  // Serves when it returns. FAILED_PRECONDITION, reason DATA_DIR_LOCKED,
  // naming the process that holds the folder; UNAVAILABLE, reason
  // ADDRESS_NOT_AVAILABLE; INVALID_ARGUMENT for options that make no sense;
  // the errors of the stores. `clock` outlives the server.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServerOptions& options, Clock& clock = Clock::Real());
  // Drains, unless that was done.
  virtual ~Server() = default;

  // HOST:PORT with the ports in use; "" for metrics that are off.
  virtual const std::string& address() const = 0;
  virtual const std::string& metrics_address() const = 0;

  // Health says NOT_SERVING, new calls are UNAVAILABLE, running ones may end
  // within drain_timeout and are cancelled then. Returns when nothing runs any
  // more.
  virtual void Drain() = 0;
};

}  // namespace attune

#endif  // ATTUNE_SERVER_SERVER_H_
