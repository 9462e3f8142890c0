#include "common/grpc/client_security.h"

#include <algorithm>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/grpc/address.h"
#include "common/status_macros.h"

namespace attune {
namespace {

// Keys are shorter; a file that is something else is not read to its end.
constexpr size_t kMaxKeyFileBytes = 1024;

absl::StatusOr<std::string> ReadKey(const std::string& path) {
  std::string text(kMaxKeyFileBytes, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) {
    return Error(absl::StatusCode::kInvalidArgument, "API_KEY_FILE_INVALID",
                 absl::StrCat("cannot open the API key file ", path));
  }
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  absl::StripAsciiWhitespace(&text);
  // A header of HTTP/2 can hold nothing else.
  if (text.empty() || text.size() == kMaxKeyFileBytes ||
      !std::all_of(text.begin(), text.end(), absl::ascii_isgraph)) {
    return Error(absl::StatusCode::kInvalidArgument, "API_KEY_FILE_INVALID",
                 absl::StrCat(path,
                              " holds no API key: it is to have the one line "
                              "that attune-server keys create has printed"));
  }
  return text;
}

}  // namespace

absl::StatusOr<ClientSecurity> LoadClientSecurity(
    const ClientSecurityFiles& files, absl::string_view server) {
  ClientSecurity security = {.tls = files.tls};
  ATTUNE_RETURN_IF_ERROR(CheckTlsFiles(files.tls));
  const bool encrypted = !files.tls.ca.empty();
  if (!encrypted && !files.tls.empty()) {
    return Error(absl::StatusCode::kInvalidArgument, "TLS_FILE_INVALID",
                 "a TLS certificate is of no use without --tls-ca: name the "
                 "file of the authority that has signed the server's");
  }
  if (files.api_key.empty()) return security;
  if (!encrypted && !IsLoopback(server)) {
    return Error(absl::StatusCode::kInvalidArgument, "API_KEY_NEEDS_TLS",
                 absl::StrCat("the API key would be sent to ", server,
                              " unencrypted: use TLS (--tls-ca)"));
  }
  ATTUNE_ASSIGN_OR_RETURN(security.api_key, ReadKey(files.api_key));
  return security;
}

}  // namespace attune
