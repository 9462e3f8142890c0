#include "server/core/models/model_import.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/safetensors/clip_layout.h"
#include "common/status_macros.h"
#include "server/core/models/version.h"

namespace attune::core {
namespace {

// Tensors up to this size are stored several in a transaction: most of a
// CLIP's are biases, and each transaction waits for the disk.
constexpr int64_t kSmallTensorBytes = int64_t{1} << 20;
constexpr int64_t kSmallBatchBytes = int64_t{8} << 20;
// What is remembered of an import at a time.
constexpr int64_t kPartBytes = int64_t{32} << 20;

// Whether no value has all bits of `exponent_mask` set, which is how infinities
// and NaN are written.
template <typename Bits>
bool AllFinite(const char* bytes, size_t count, Bits exponent_mask) {
  bool finite = true;
  for (size_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, bytes + i * sizeof(Bits), sizeof(Bits));
    finite &= (bits & exponent_mask) != exponent_mask;
  }
  return finite;
}

bool AllFinite(storage::DataType type, absl::string_view bytes) {
  switch (type) {
    case storage::DataType::kFloat32:
      return AllFinite<uint32_t>(bytes.data(), bytes.size() / 4, 0x7F800000);
    case storage::DataType::kFloat16:
      return AllFinite<uint16_t>(bytes.data(), bytes.size() / 2, 0x7C00);
    case storage::DataType::kBfloat16:
      return AllFinite<uint16_t>(bytes.data(), bytes.size() / 2, 0x7F80);
    case storage::DataType::kInt64:
    case storage::DataType::kUint8:
      return true;
  }
  return true;
}

absl::Status InvalidFile(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_SAFETENSORS",
               message);
}

}  // namespace

bool FiniteCheck::Append(absl::string_view bytes) {
  const auto size = static_cast<size_t>(safetensors::ByteSize(type_));
  if (!partial_.empty()) {
    const size_t missing = std::min(size - partial_.size(), bytes.size());
    partial_.append(bytes.data(), missing);
    bytes.remove_prefix(missing);
    if (partial_.size() < size) return true;
    if (!AllFinite(type_, partial_)) return false;
    partial_.clear();
  }
  const size_t whole = bytes.size() - bytes.size() % size;
  partial_.assign(bytes.data() + whole, bytes.size() - whole);
  return AllFinite(type_, bytes.substr(0, whole));
}

absl::StatusOr<std::unique_ptr<ModelImport>> ModelImport::Begin(
    storage::BlobStore& blobs, std::unique_ptr<UploadStaging> staging) {
  auto import = absl::WrapUnique(new ModelImport(blobs, std::move(staging)));
  ATTUNE_RETURN_IF_ERROR(import->Resume(import->staging_->TakeParts()));
  return import;
}

absl::Status ModelImport::Resume(std::vector<storage::UploadPart> parts) {
  if (parts.empty()) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(head_, blobs_.ReadAll(parts.front().header_digest));
  ATTUNE_RETURN_IF_ERROR(TakeHeader());
  for (storage::UploadPart& part : parts) {
    for (storage::TensorEntry& tensor : part.tensors) {
      result_.manifest.push_back(std::move(tensor));
    }
  }
  next_tensor_ = staged_tensors_ = result_.manifest.size();
  size_bytes_ = staged_offset_ = whole_offset_ = parts.back().end_offset;
  std::optional<Sha256> hash = Sha256::RestoreState(parts.back().hash_state);
  if (!hash.has_value()) {
    return absl::InternalError("the state of the upload's digest is none");
  }
  file_hash_ = *std::move(hash);
  return absl::OkStatus();
}

absl::Status ModelImport::Append(absl::string_view bytes) {
  if (!header_) {
    size_t used = 0;
    const absl::Status status = AppendHeader(bytes, &used);
    file_hash_.Update(bytes.substr(0, used));
    size_bytes_ += static_cast<int64_t>(used);
    ATTUNE_RETURN_IF_ERROR(status);
    bytes.remove_prefix(used);
  }
  while (!bytes.empty()) {
    if (next_tensor_ == header_->tensors.size()) {
      return InvalidFile(absl::StrCat("the file goes on after its ",
                                      header_->file_size(), " bytes"));
    }
    const int64_t left = tensor().end - tensor().begin - tensor_done_;
    const absl::string_view piece = bytes.substr(
        0, std::min<size_t>(bytes.size(), static_cast<size_t>(left)));
    file_hash_.Update(piece);
    size_bytes_ += static_cast<int64_t>(piece.size());
    ATTUNE_RETURN_IF_ERROR(AppendTensor(piece));
    bytes.remove_prefix(piece.size());
  }
  return absl::OkStatus();
}

absl::Status ModelImport::AppendHeader(absl::string_view bytes, size_t* used) {
  // One more than the length: its first character tells other formats apart.
  constexpr size_t kProbe = safetensors::kLengthBytes + 1;
  size_t wanted = kProbe;
  while (true) {
    const size_t missing = wanted - std::min(wanted, head_.size());
    const size_t taken = std::min(missing, bytes.size() - *used);
    head_.append(bytes.data() + *used, taken);
    *used += taken;
    if (head_.size() < wanted) return absl::OkStatus();
    ATTUNE_ASSIGN_OR_RETURN(const int64_t header_size,
                            safetensors::HeaderSize(head_));
    if (static_cast<int64_t>(head_.size()) >= header_size) break;
    wanted = static_cast<size_t>(header_size);
  }
  return TakeHeader();
}

absl::Status ModelImport::TakeHeader() {
  ATTUNE_ASSIGN_OR_RETURN(header_, safetensors::ParseHeader(head_));
  ATTUNE_ASSIGN_OR_RETURN(result_.config, ReadClipConfig(*header_));
  return absl::OkStatus();
}

absl::Status ModelImport::BeginTensor() {
  finite_.emplace(tensor().data_type);
  const int64_t size = tensor().end - tensor().begin;
  if (size > kSmallTensorBytes) {
    writer_ = blobs_.NewWriter();
  } else {
    small_.reserve(static_cast<size_t>(size));
  }
  return absl::OkStatus();
}

absl::Status ModelImport::AppendTensor(absl::string_view bytes) {
  if (!finite_) ATTUNE_RETURN_IF_ERROR(BeginTensor());
  if (!finite_->Append(bytes)) {
    return Error(absl::StatusCode::kInvalidArgument, "NON_FINITE_WEIGHTS",
                 absl::StrCat("tensor '", tensor().name,
                              "' holds NaN or infinite values"));
  }
  if (writer_ != nullptr) {
    ATTUNE_RETURN_IF_ERROR(writer_->Append(bytes));
  } else {
    small_.append(bytes.data(), bytes.size());
  }
  tensor_done_ += static_cast<int64_t>(bytes.size());
  if (tensor_done_ < tensor().end - tensor().begin) return absl::OkStatus();
  return EndTensor();
}

absl::Status ModelImport::EndTensor() {
  storage::TensorEntry entry{.name = tensor().name,
                             .data_type = tensor().data_type,
                             .shape = tensor().shape,
                             .blob_digest = "",
                             .size_bytes = tensor_done_};
  if (writer_ != nullptr) {
    ATTUNE_ASSIGN_OR_RETURN(entry.blob_digest, writer_->Commit(""));
    writer_ = nullptr;
  } else {
    entry.blob_digest = Sha256Hex(small_);
    small_bytes_ += tensor_done_;
    small_blobs_.emplace_back(entry.blob_digest, std::move(small_));
    small_.clear();
    if (small_bytes_ >= kSmallBatchBytes) ATTUNE_RETURN_IF_ERROR(FlushSmall());
  }
  result_.manifest.push_back(std::move(entry));
  finite_.reset();
  tensor_done_ = 0;
  ++next_tensor_;
  whole_offset_ = size_bytes_;
  whole_hash_state_ = file_hash_.SaveState();
  return whole_offset_ - staged_offset_ < kPartBytes ? absl::OkStatus()
                                                     : Stage();
}

absl::Status ModelImport::Stage() {
  ATTUNE_RETURN_IF_ERROR(blobs_.CheckRoom());
  ATTUNE_RETURN_IF_ERROR(FlushSmall());
  storage::UploadPart part;
  part.end_offset = whole_offset_;
  part.hash_state = whole_hash_state_;
  part.tensors.assign(result_.manifest.begin() + staged_tensors_,
                      result_.manifest.end());
  if (staged_tensors_ == 0) {
    part.header_digest = Sha256Hex(head_);
    ATTUNE_RETURN_IF_ERROR(
        blobs_.Put({storage::BlobView{part.header_digest, head_}}));
  }
  ATTUNE_RETURN_IF_ERROR(staging_->Add(part));
  staged_tensors_ = result_.manifest.size();
  staged_offset_ = whole_offset_;
  return absl::OkStatus();
}

void ModelImport::Keep() {
  // Best effort: the client learns from the offset what was kept.
  if (whole_offset_ > staged_offset_) Stage().IgnoreError();
}

absl::Status ModelImport::FlushSmall() {
  std::vector<storage::BlobView> views;
  for (const auto& [digest, bytes] : small_blobs_) {
    views.push_back({digest, bytes});
  }
  ATTUNE_RETURN_IF_ERROR(blobs_.Put(views));
  small_blobs_.clear();
  small_bytes_ = 0;
  return absl::OkStatus();
}

absl::StatusOr<ModelImport::Result> ModelImport::Finish(
    int64_t size_bytes, absl::string_view sha256) {
  if (size_bytes != size_bytes_ || file_hash_.FinishHex() != sha256) {
    return Error(
        absl::StatusCode::kDataLoss, "DIGEST_MISMATCH",
        absl::StrCat("the file arrived damaged (", size_bytes_, " bytes of ",
                     size_bytes, "): nothing was stored, send it again"));
  }
  if (!header_) {
    // A file of fewer bytes than a header's length says so itself.
    ATTUNE_RETURN_IF_ERROR(safetensors::ParseHeader(head_).status());
    return InvalidFile("the file ends within its header");
  }
  if (next_tensor_ < header_->tensors.size()) {
    return InvalidFile(
        absl::StrCat("the file ends within tensor '", tensor().name, "'"));
  }
  ATTUNE_RETURN_IF_ERROR(FlushSmall());
  std::sort(result_.manifest.begin(), result_.manifest.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return std::move(result_);
}

}  // namespace attune::core
