#include "worker/decode/picture_decoder.h"

#include <filesystem>
#include <utility>

#include "common/image/image_header.h"
#include "common/status_macros.h"

namespace attune::decode {
namespace {

// A decoder may die of something else than its picture, such as a machine
// without memory.
constexpr int kTries = 2;

}  // namespace

std::string DecoderProgram() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() /
         "attune-image-decoder";
}

absl::Status PictureDecoder::Check(absl::string_view file) {
  return Decode(file, 0, {});
}

absl::Status PictureDecoder::Preprocess(absl::string_view file, int side,
                                        absl::Span<uint8_t> pixels) {
  return Decode(file, side, pixels);
}

int64_t PictureDecoder::deaths() const {
  absl::MutexLock lock(&mutex_);
  return deaths_;
}

absl::Status PictureDecoder::Decode(absl::string_view file, int side,
                                    absl::Span<uint8_t> pixels) {
  absl::Status status;
  for (int i = 0; i < kTries; ++i) {
    ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<DecoderProcess> process, Take());
    status = process->Decode(file, side, pixels, limit_);
    if (!absl::IsAborted(status) && !absl::IsDeadlineExceeded(status)) {
      GiveBack(std::move(process));
      return status;
    }
    absl::MutexLock lock(&mutex_);
    ++deaths_;
    if (absl::IsDeadlineExceeded(status)) break;
  }
  return image::InvalidImage(status.message());
}

absl::StatusOr<std::unique_ptr<DecoderProcess>> PictureDecoder::Take() {
  {
    absl::MutexLock lock(&mutex_);
    while (!idle_.empty()) {
      std::unique_ptr<DecoderProcess> process = std::move(idle_.back());
      idle_.pop_back();
      // One that died while it waited is no picture's fault.
      if (process->alive()) return process;
      ++deaths_;
    }
  }
  return DecoderProcess::Start(program_);
}

void PictureDecoder::GiveBack(std::unique_ptr<DecoderProcess> process) {
  absl::MutexLock lock(&mutex_);
  idle_.push_back(std::move(process));
}

}  // namespace attune::decode
