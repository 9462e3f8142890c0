#ifndef ATTUNE_WORKER_DECODE_DECODER_PROCESS_H_
#define ATTUNE_WORKER_DECODE_DECODER_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace attune::decode {

// One decoding process. It ends by itself when its worker does. Not
// thread-safe.
class DecoderProcess {
 public:
  // Starts `program`. INTERNAL when that is not possible. Starting is safe
  // after CUDA is in use: nothing runs between the fork and the exec.
  static absl::StatusOr<std::unique_ptr<DecoderProcess>> Start(
      const std::string& program);
  // Kills the process.
  ~DecoderProcess();
  DecoderProcess(const DecoderProcess&) = delete;
  DecoderProcess& operator=(const DecoderProcess&) = delete;

  // As DecodeFunction. INVALID_ARGUMENT, reason INVALID_IMAGE, for a bad
  // picture; DEADLINE_EXCEEDED after `limit`, ABORTED when the process died:
  // it is gone then, and its message says how.
  // REQUIRES: no such error before.
  absl::Status Decode(absl::string_view file, int side,
                      absl::Span<uint8_t> pixels, absl::Duration limit);

  // Whether it still runs.
  bool alive() const;

  pid_t pid() const { return pid_; }

 private:
  DecoderProcess() = default;

  absl::Status AwaitAnswer(absl::Duration limit);
  absl::Status Died();

  pid_t pid_ = -1;
  int socket_ = -1;
  char* memory_ = nullptr;
};

}  // namespace attune::decode

#endif  // ATTUNE_WORKER_DECODE_DECODER_PROCESS_H_
