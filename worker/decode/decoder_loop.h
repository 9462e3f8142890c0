#ifndef ATTUNE_WORKER_DECODE_DECODER_LOOP_H_
#define ATTUNE_WORKER_DECODE_DECODER_LOOP_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace attune::decode {

// Decodes `file`. Where `side` is not 0, it fills `pixels`, side · side · 3
// bytes.
using DecodeFunction = std::function<absl::Status(
    absl::string_view file, int side, absl::Span<uint8_t> pixels)>;

// The whole of a decoding process: enters the sandbox and answers requests
// until the worker closes the socket. Memory that runs out is the picture's
// error. Returns the exit status.
int RunDecoder(const DecodeFunction& decode);

}  // namespace attune::decode

#endif  // ATTUNE_WORKER_DECODE_DECODER_LOOP_H_
