// The flags of ClientSecurityFiles, for every program that calls the server.

#ifndef ATTUNE_COMMON_GRPC_CLIENT_SECURITY_FLAGS_H_
#define ATTUNE_COMMON_GRPC_CLIENT_SECURITY_FLAGS_H_

#include <CLI/CLI.hpp>

#include "common/grpc/client_security.h"

namespace attune {

// `files` outlives the parsing.
inline void AddClientSecurityFlags(CLI::App& app, ClientSecurityFiles& files) {
  app.add_option("--tls-ca", files.tls.ca,
                 "PEM file of the authorities that sign the server's "
                 "certificate; turns TLS on")
      ->envname("ATTUNE_TLS_CA");
  app.add_option("--tls-certificate", files.tls.certificate,
                 "PEM file of the own certificate, for mutual TLS")
      ->envname("ATTUNE_TLS_CERTIFICATE");
  app.add_option("--tls-key", files.tls.key,
                 "PEM file of the certificate's private key")
      ->envname("ATTUNE_TLS_KEY");
  app.add_option("--api-key-file", files.api_key,
                 "File with the API key that attune-server keys create printed")
      ->envname("ATTUNE_API_KEY_FILE");
}

}  // namespace attune

#endif  // ATTUNE_COMMON_GRPC_CLIENT_SECURITY_FLAGS_H_
