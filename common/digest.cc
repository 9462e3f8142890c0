#include "common/digest.h"

// EVP's contexts cannot be saved; these are plain structs, and as fast.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/strings/escaping.h"

namespace attune {

struct Sha256::Context {
  SHA256_CTX sha;
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  SHA256_Init(&context_->sha);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(absl::string_view bytes) {
  SHA256_Update(&context_->sha, bytes.data(), bytes.size());
}

std::string Sha256::FinishHex() {
  std::array<unsigned char, 32> digest;
  SHA256_Final(digest.data(), &context_->sha);
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), digest.size()));
}

std::string Sha256::SaveState() const {
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(&context_->sha), sizeof(SHA256_CTX)));
}

std::optional<Sha256> Sha256::RestoreState(absl::string_view state) {
  const std::string bytes = absl::HexStringToBytes(state);
  Sha256 hash;
  SHA256_CTX& sha = hash.context_->sha;
  if (bytes.size() != sizeof(sha)) return std::nullopt;
  std::memcpy(&sha, bytes.data(), sizeof(sha));
  // The number of bytes that wait for a block must fit one.
  if (sha.num >= SHA256_CBLOCK || sha.md_len != SHA256_DIGEST_LENGTH) {
    return std::nullopt;
  }
  return hash;
}

std::string Sha256Hex(absl::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.FinishHex();
}

bool IsSha256Hex(absl::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool EqualSecrets(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() &&
         CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace attune
