// Who calls, and whether they may: API keys in the metadata, certificates of
// the connection, and the table of roles.

#ifndef ATTUNE_SERVER_SERVICES_ACCESS_H_
#define ATTUNE_SERVER_SERVICES_ACCESS_H_

#include <grpcpp/server_context.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/core/access/api_keys.h"
#include "server/services/access_table.h"

namespace attune::services {

struct AccessOptions {
  // Whether everybody must be known even when no key was ever made.
  bool required = false;
  // Whether workers are known by certificates, and by nothing else.
  bool worker_certificates = false;
};

// Who makes a call. Empty for somebody who need not be known.
struct Caller {
  std::string key_id;
  std::string certificate_name;
};

// Calls are open to everybody as long as `options` ask for nothing and no key
// was ever made. Thread-safe; nothing here blocks.
class Access {
 public:
  // `keys` outlives this.
  Access(const core::ApiKeys& keys, AccessOptions options)
      : keys_(keys), options_(options) {}

  // Whether callers must be known.
  bool required() const {
    return options_.required || options_.worker_certificates || keys_.any();
  }

  // The caller of service.method, if they may call it.
  // UNAUTHENTICATED: reason CREDENTIALS_MISSING, CREDENTIALS_MALFORMED (not
  // "Bearer KEY", or more than one), KEY_INVALID, KEY_REVOKED,
  // CERTIFICATE_MISSING. PERMISSION_DENIED, reason ROLE_NOT_ALLOWED.
  absl::StatusOr<Caller> Admit(absl::string_view service,
                               absl::string_view method,
                               const grpc::ServerContextBase& context) const;

  // Whether a caller whom Admit returned, perhaps long ago, may go on.
  // UNAUTHENTICATED as above.
  absl::Status Check(const Caller& caller) const;

  // Whether the caller may speak for this worker: with a certificate for NAME
  // the id is NAME.SUFFIX, and SUFFIX has no dot. PERMISSION_DENIED, reason
  // WORKER_ID_NOT_ALLOWED.
  absl::Status CheckWorkerId(const grpc::ServerContextBase& context,
                             absl::string_view worker_id) const;

 private:
  const core::ApiKeys& keys_;
  const AccessOptions options_;
};

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_ACCESS_H_
