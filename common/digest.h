#ifndef ATTUNE_COMMON_DIGEST_H_
#define ATTUNE_COMMON_DIGEST_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace attune {

// SHA-256 of a byte stream. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(absl::string_view bytes);

  // The digest as 64 lower-case hexadecimal digits, the form in which digests
  // are stored, sent and printed. Call once.
  std::string FinishHex();

  // What has been hashed so far, as text; a digest restored from it goes on
  // there, perhaps in another process.
  std::string SaveState() const;
  // Nothing when `state` is none.
  static std::optional<Sha256> RestoreState(absl::string_view state);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// The hexadecimal SHA-256 of `bytes`.
std::string Sha256Hex(absl::string_view bytes);

// Whether `text` is 64 lower-case hexadecimal digits.
bool IsSha256Hex(absl::string_view text);

// Whether the two are equal, in a time that does not tell where they differ.
bool EqualSecrets(absl::string_view a, absl::string_view b);

}  // namespace attune

#endif  // ATTUNE_COMMON_DIGEST_H_
