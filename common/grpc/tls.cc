#include "common/grpc/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune {
namespace {

using ::grpc::experimental::FileWatcherCertificateProvider;
using ::grpc::experimental::TlsChannelCredentialsOptions;
using ::grpc::experimental::TlsServerCredentialsOptions;

template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const { Free(object); }
};
using Context = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX, SSL_CTX_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509, X509_free>>;
using File = std::unique_ptr<BIO, Deleter<BIO, BIO_free_all>>;

absl::Status Invalid(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "TLS_FILE_INVALID", message);
}

// The oldest error that OpenSSL has kept, in words; forgets all of them.
std::string OpenSslReason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown";
  // ERR_reason_error_string knows no errno, which is what a missing file is.
  if (ERR_SYSTEM_ERROR(code)) return strerror(ERR_GET_REASON(code));
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? absl::StrCat("error ", code) : reason;
}

absl::Status Unusable(absl::string_view what, const std::string& file) {
  return Invalid(
      absl::StrCat("cannot use ", file, " as ", what, ": ", OpenSslReason()));
}

std::shared_ptr<FileWatcherCertificateProvider> Watch(const TlsFiles& files) {
  return std::make_shared<FileWatcherCertificateProvider>(
      files.key, files.certificate, files.ca,
      static_cast<unsigned>(absl::ToInt64Seconds(kTlsReloadInterval)));
}

}  // namespace

absl::Status CheckTlsFiles(const TlsFiles& files) {
  if (files.certificate.empty() != files.key.empty()) {
    return Invalid(
        "a TLS certificate and its key go together: give both files or none");
  }
  ERR_clear_error();
  const Context context(SSL_CTX_new(TLS_method()));
  if (!files.certificate.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context.get(),
                                           files.certificate.c_str()) != 1) {
      return Unusable("a TLS certificate", files.certificate);
    }
    if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(),
                                    SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context.get()) != 1) {
      return Unusable(absl::StrCat("the key of ", files.certificate),
                      files.key);
    }
  }
  if (!files.ca.empty() && SSL_CTX_load_verify_locations(
                               context.get(), files.ca.c_str(), nullptr) != 1) {
    return Unusable("certificates of authorities", files.ca);
  }
  return absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> TlsServer(const TlsFiles& files) {
  TlsServerCredentialsOptions options(Watch(files));
  options.watch_identity_key_cert_pairs();
  if (!files.ca.empty()) {
    options.watch_root_certs();
    // Not required of everybody: users show an API key.
    options.set_cert_request_type(
        GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> TlsClient(const TlsFiles& files) {
  // Of one channel only: gRPC 1.51 crashes when options are used again.
  TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(files));
  options.watch_root_certs();
  if (!files.certificate.empty()) options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

absl::StatusOr<std::string> CertificateName(const std::string& file) {
  ERR_clear_error();
  const File bio(BIO_new_file(file.c_str(), "r"));
  if (bio == nullptr) return Unusable("a TLS certificate", file);
  const Certificate certificate(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return Unusable("a TLS certificate", file);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) {
    return Invalid(absl::StrCat("the certificate in ", file,
                                " has no common name, which is to be the "
                                "worker's"));
  }
  const ASN1_STRING* name =
      X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name)),
                     ASN1_STRING_length(name));
}

}  // namespace attune
