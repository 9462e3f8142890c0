// TLS of both ends of a connection. The files are read again when they change,
// so that a new certificate is served without a restart.

#ifndef ATTUNE_COMMON_GRPC_TLS_H_
#define ATTUNE_COMMON_GRPC_TLS_H_

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace attune {

// How often the files are looked at.
inline constexpr absl::Duration kTlsReloadInterval = absl::Seconds(2);

// PEM files of one end; "" for what it does not have.
struct TlsFiles {
  // The own certificate, followed by those between it and the authority.
  std::string certificate = {};
  // The private key of the certificate.
  std::string key = {};
  // The certificates of those who sign the other end's.
  std::string ca = {};

  bool empty() const {
    return certificate.empty() && key.empty() && ca.empty();
  }
};

// Whether the files can be read and the key belongs to the certificate.
// INVALID_ARGUMENT, reason TLS_FILE_INVALID, naming the file, or that only one
// of certificate and key is given.
absl::Status CheckTlsFiles(const TlsFiles& files);

// TLS 1.2 or newer with the files' certificate. With `files.ca` a client may
// show a certificate, which must then be signed by one of these authorities.
// REQUIRES: files.certificate and files.key; CheckTlsFiles.
std::shared_ptr<grpc::ServerCredentials> TlsServer(const TlsFiles& files);

// TLS 1.2 or newer with a server whose certificate one of `files.ca` has
// signed and that names the address which is called; shows the files'
// certificate, if any. REQUIRES: files.ca; CheckTlsFiles.
std::shared_ptr<grpc::ChannelCredentials> TlsClient(const TlsFiles& files);

// The common name of the first certificate in a file. INVALID_ARGUMENT, reason
// TLS_FILE_INVALID, when there is none.
absl::StatusOr<std::string> CertificateName(const std::string& file);

}  // namespace attune

#endif  // ATTUNE_COMMON_GRPC_TLS_H_
