#include "server/services/access.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::services {
namespace {

using ::attune::storage::Role;

constexpr absl::string_view kScheme = "Bearer ";

absl::Status Unauthenticated(absl::string_view reason,
                             absl::string_view message) {
  return Error(absl::StatusCode::kUnauthenticated, reason, message);
}

// The key in the metadata, if there is one.
absl::StatusOr<std::optional<absl::string_view>> KeyText(
    const grpc::ServerContextBase& context) {
  const auto [begin, end] =
      context.client_metadata().equal_range("authorization");
  if (begin == end) return std::nullopt;
  absl::string_view header(begin->second.data(), begin->second.size());
  if (std::next(begin) != end || !absl::StartsWithIgnoreCase(header, kScheme)) {
    return Unauthenticated(
        "CREDENTIALS_MALFORMED",
        "the metadata's authorization must be one 'Bearer KEY'");
  }
  return header.substr(kScheme.size());
}

// The name in the client's certificate; "" without one. gRPC has verified it.
std::string CertificateName(const grpc::ServerContextBase& context) {
  const auto peer = context.auth_context();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) return "";
  const auto names = peer->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
  if (names.size() != 1) return "";
  return std::string(names[0].data(), names[0].size());
}

}  // namespace

absl::StatusOr<Caller> Access::Admit(
    absl::string_view service, absl::string_view method,
    const grpc::ServerContextBase& context) const {
  Caller caller;
  Roles roles;
  caller.certificate_name = CertificateName(context);
  if (!required()) return caller;
  const Roles allowed = RolesOf(service, method);
  ATTUNE_ASSIGN_OR_RETURN(const std::optional<absl::string_view> text,
                          KeyText(context));
  if (text.has_value()) {
    ATTUNE_ASSIGN_OR_RETURN(const storage::ApiKey key, keys_.Find(*text));
    caller.key_id = key.id;
    // A worker's key alone does not stand for a certificate.
    if (key.role != Role::kWorker || !options_.worker_certificates) {
      roles.Add(key.role);
    }
  }
  if (!caller.certificate_name.empty()) roles.Add(Role::kWorker);
  if (roles.Intersects(allowed)) return caller;
  if (options_.worker_certificates && caller.certificate_name.empty() &&
      allowed.Has(Role::kWorker)) {
    return Unauthenticated("CERTIFICATE_MISSING",
                           "this server knows workers by their certificates: "
                           "pass --tls-certificate and --tls-key");
  }
  if (roles.empty() && !text.has_value()) {
    return Unauthenticated("CREDENTIALS_MISSING",
                           "this server wants an API key: pass --api-key-file "
                           "or set ATTUNE_API_KEY_FILE; attune-server keys "
                           "create makes one");
  }
  return Error(absl::StatusCode::kPermissionDenied, "ROLE_NOT_ALLOWED",
               absl::StrCat("the role of these credentials may not call ",
                            service, ".", method));
}

absl::Status Access::Check(const Caller& caller) const {
  if (!caller.key_id.empty()) return keys_.Check(caller.key_id);
  if (!caller.certificate_name.empty() || !required()) return absl::OkStatus();
  return Unauthenticated("CREDENTIALS_MISSING",
                         "this server wants an API key from now on");
}

absl::Status Access::CheckWorkerId(const grpc::ServerContextBase& context,
                                   absl::string_view worker_id) const {
  const std::string name = CertificateName(context);
  if (name.empty()) return absl::OkStatus();
  const size_t dot = worker_id.rfind('.');
  if (dot != worker_id.npos && worker_id.substr(0, dot) == name) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kPermissionDenied, "WORKER_ID_NOT_ALLOWED",
               absl::StrCat("a worker with the certificate of '", name,
                            "' must be named '", name,
                            ".SUFFIX', SUFFIX without a dot"));
}

}  // namespace attune::services
