// What the fuzzed programs share.

#ifndef ATTUNE_TESTS_FUZZ_FUZZ_H_
#define ATTUNE_TESTS_FUZZ_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace attune::fuzz {

// Ends the program, which counts as a find, when a promise is broken.
inline void Require(bool kept, const std::string& promise) {
  if (kept) return;
  std::fprintf(stderr, "broken: %s\n", promise.c_str());
  std::abort();
}

// An error about bad input: its code says so, and a message says why.
inline void RequireInputError(const absl::Status& status) {
  Require(status.ok() ||
              (absl::IsInvalidArgument(status) && !status.message().empty()),
          "bad input is INVALID_ARGUMENT, and not " + status.ToString());
}

inline absl::string_view View(const uint8_t* data, size_t size) {
  return absl::string_view(reinterpret_cast<const char*>(data), size);
}

}  // namespace attune::fuzz

#endif  // ATTUNE_TESTS_FUZZ_FUZZ_H_
