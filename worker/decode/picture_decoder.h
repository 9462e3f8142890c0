#ifndef ATTUNE_WORKER_DECODE_PICTURE_DECODER_H_
#define ATTUNE_WORKER_DECODE_PICTURE_DECODER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "worker/decode/decoder_process.h"

namespace attune::decode {

// Of one picture. The largest that is allowed takes about a second.
inline constexpr absl::Duration kPictureLimit = absl::Seconds(30);

// attune-image-decoder beside this program.
std::string DecoderProgram();

// Decodes pictures in processes, as many as are asked at a time; each is used
// again and again, and replaced when it dies. Whatever a picture does to its
// decoder is an error of that picture alone. Thread-safe.
class PictureDecoder {
 public:
  explicit PictureDecoder(std::string program,
                          absl::Duration limit = kPictureLimit)
      : program_(std::move(program)), limit_(limit) {}

  // Whether the picture can be decoded. INVALID_ARGUMENT, reason INVALID_IMAGE:
  // what image::DecodeImage refuses, and a picture that twice killed its
  // decoder or took it too long. INTERNAL when no decoder can be started.
  absl::Status Check(absl::string_view file);

  // As image::DecodeAndPreprocess, into side · side · 3 bytes. Errors as above.
  absl::Status Preprocess(absl::string_view file, int side,
                          absl::Span<uint8_t> pixels);

  // Processes that have died.
  int64_t deaths() const;

 private:
  absl::Status Decode(absl::string_view file, int side,
                      absl::Span<uint8_t> pixels);
  absl::StatusOr<std::unique_ptr<DecoderProcess>> Take();
  void GiveBack(std::unique_ptr<DecoderProcess> process);

  const std::string program_;
  const absl::Duration limit_;
  mutable absl::Mutex mutex_;
  std::vector<std::unique_ptr<DecoderProcess>> idle_ ABSL_GUARDED_BY(mutex_);
  int64_t deaths_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace attune::decode

#endif  // ATTUNE_WORKER_DECODE_PICTURE_DECODER_H_
