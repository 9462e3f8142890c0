// Stands for a decoder that a picture has taken over: does what the picture's
// bytes say.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "worker/decode/decoder_loop.h"
#include "worker/decode/decoder_protocol.h"

namespace {

absl::Status Obey(absl::string_view file, int side,
                  absl::Span<uint8_t> pixels) {
  if (file == "crash") std::abort();
  if (file == "hang") {
    while (true) {
      volatile int spin = 0;
      static_cast<void>(spin);
    }
  }
  if (file == "leave") _exit(3);
  if (file == "open") {
    // Any file, such as one with a key.
    static_cast<void>(open("/etc/hostname", O_RDONLY));
  }
  if (file == "connect") {
    static_cast<void>(socket(AF_INET, SOCK_STREAM, 0));
  }
  if (file == "fork") static_cast<void>(fork());
  if (file == "execute memory") {
    static_cast<void>(mmap(nullptr, 4096, PROT_READ | PROT_EXEC,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }
  if (file == "shrink memory") {
    static_cast<void>(ftruncate(attune::decode::kMemoryFd, 0));
  }
  if (file == "allocate") {
    std::vector<char> much(size_t{2} << 30);
    return absl::OkStatus();
  }
  if (file == "lie") {
    return absl::InvalidArgumentError(std::string(100'000, 'x'));
  }
  if (file == "bad") return absl::InvalidArgumentError("as it says");
  if (side > 0) std::memset(pixels.data(), file.front(), pixels.size());
  return absl::OkStatus();
}

}  // namespace

int main() { return attune::decode::RunDecoder(Obey); }
