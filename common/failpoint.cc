#include "common/failpoint.h"

#ifdef ATTUNE_WITH_FAILPOINTS

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace attune {
namespace {

struct Armed {
  std::string name;
  int hits = 1;  // the one that kills
};

Armed ReadEnvironment() {
  const char* const text = std::getenv("ATTUNE_FAILPOINT");
  if (text == nullptr) return {};
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  Armed armed = {.name = parts.first};
  if (!absl::SimpleAtoi(parts.second, &armed.hits)) armed.hits = 1;
  return armed;
}

}  // namespace

void Failpoint(absl::string_view name) {
  static const Armed& armed = *new Armed(ReadEnvironment());
  static std::atomic<int> hits = 0;
  if (name == armed.name && ++hits == armed.hits) kill(getpid(), SIGKILL);
}

}  // namespace attune

#else

namespace attune {

void Failpoint(absl::string_view) {}

}  // namespace attune

#endif
