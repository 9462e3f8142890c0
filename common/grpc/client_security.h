// How a client is protected and known: TLS files and an API key.

#ifndef ATTUNE_COMMON_GRPC_CLIENT_SECURITY_H_
#define ATTUNE_COMMON_GRPC_CLIENT_SECURITY_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/grpc/tls.h"

namespace attune {

// What the flags of a program name.
struct ClientSecurityFiles {
  // Without a ca the connection is not encrypted.
  TlsFiles tls = {};
  // Holds one API key; "" for none.
  std::string api_key = {};
};

// The same, checked and read.
struct ClientSecurity {
  TlsFiles tls = {};
  std::string api_key = {};
};

// INVALID_ARGUMENT, reason TLS_FILE_INVALID (as CheckTlsFiles, or a certificate
// without a ca), API_KEY_FILE_INVALID (it cannot be read or holds no key), or
// API_KEY_NEEDS_TLS: a key would leave this machine unencrypted. No message
// holds the key.
absl::StatusOr<ClientSecurity> LoadClientSecurity(
    const ClientSecurityFiles& files, absl::string_view server);

}  // namespace attune

#endif  // ATTUNE_COMMON_GRPC_CLIENT_SECURITY_H_
