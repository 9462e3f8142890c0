// The header of an imported file: any bytes give a header whose tensors lie
// within the file, or INVALID_ARGUMENT.

#include "common/safetensors/clip_layout.h"
#include "common/safetensors/safetensors.h"
#include "tests/fuzz/fuzz.h"

using ::attune::fuzz::Require;
using ::attune::fuzz::RequireInputError;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes = attune::fuzz::View(data, size);
  const auto header_size = attune::safetensors::HeaderSize(bytes);
  RequireInputError(header_size.status());
  const auto header = attune::safetensors::ParseHeader(bytes);
  RequireInputError(header.status());
  if (!header.ok()) return 0;
  Require(header_size.ok(), "a file with a header has a header's size");
  int64_t end = 0;
  for (const attune::safetensors::TensorInfo& tensor : header->tensors) {
    Require(tensor.begin == end, "tensors follow one another");
    Require(tensor.end >= tensor.begin,
            "a tensor does not end before it begins");
    end = tensor.end;
  }
  Require(header->file_size() >= end, "tensors lie within the file");
  RequireInputError(attune::ReadClipConfig(*header).status());
  return 0;
}
