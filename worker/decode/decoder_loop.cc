#include "worker/decode/decoder_loop.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "worker/decode/decoder_protocol.h"
#include "worker/decode/sandbox.h"

namespace attune::decode {
namespace {

constexpr int kExitBroken = 1;

void SetMessage(absl::string_view message, DecodeAnswer* answer) {
  answer->message_bytes =
      static_cast<uint32_t>(std::min(message.size(), sizeof(answer->message)));
  std::memcpy(answer->message, message.data(), answer->message_bytes);
}

DecodeAnswer Answer(const DecodeFunction& decode, const DecodeRequest& request,
                    char* memory) {
  DecodeAnswer answer;
  const absl::string_view file(memory + kFileOffset, request.file_bytes);
  const int side = static_cast<int>(request.side);
  const absl::Span<uint8_t> pixels(
      reinterpret_cast<uint8_t*>(memory + kPixelOffset),
      size_t{3} * request.side * request.side);
  try {
    const absl::Status status = decode(file, side, pixels);
    answer.good = status.ok();
    if (!status.ok()) SetMessage(status.message(), &answer);
  } catch (const std::bad_alloc&) {
    SetMessage("the picture needs more memory than its decoder may use",
               &answer);
  }
  return answer;
}

}  // namespace

int RunDecoder(const DecodeFunction& decode) {
  void* const mapped = mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE,
                            MAP_SHARED, kMemoryFd, 0);
  if (mapped == MAP_FAILED) {
    std::perror("cannot map the worker's memory");
    return kExitBroken;
  }
  if (!EnterSandbox()) {
    std::fprintf(stderr, "the kernel refuses a part of the sandbox\n");
  }
  while (true) {
    DecodeRequest request;
    const ssize_t count = recv(kSocketFd, &request, sizeof(request), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) return 0;
    if (count != sizeof(request) ||
        request.file_bytes > static_cast<uint64_t>(image::kMaxImageBytes) ||
        request.side > kMaxSide) {
      return kExitBroken;
    }
    const DecodeAnswer answer =
        Answer(decode, request, static_cast<char*>(mapped));
    if (send(kSocketFd, &answer, sizeof(answer), MSG_NOSIGNAL) !=
        sizeof(answer)) {
      return kExitBroken;
    }
  }
}

}  // namespace attune::decode
