#include "worker/convert/source_file.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "worker/convert/torch_archive.h"
#include "worker/model/safetensors_io.h"

namespace attune::convert {
namespace {

// What the programs call a model's only file, the safer format first.
constexpr absl::string_view kFileNames[] = {
    "open_clip_model.safetensors", "model.safetensors",
    "open_clip_pytorch_model.bin", "pytorch_model.bin"};

constexpr absl::string_view kZip = "PK\x03\x04";
// The instruction that a pickle of protocol 2 begins with.
constexpr absl::string_view kPickle = "\x80\x02";

absl::StatusOr<std::string> FindFile(const std::string& path) {
  std::error_code code;
  if (!std::filesystem::exists(path, code)) return NotFound("file", path);
  if (!std::filesystem::is_directory(path, code)) return path;
  for (absl::string_view name : kFileNames) {
    const std::string file = absl::StrCat(path, "/", name);
    if (std::filesystem::exists(file, code)) return file;
  }
  return Error(absl::StatusCode::kInvalidArgument, "UNKNOWN_FORMAT",
               absl::StrCat(path,
                            ": the folder has no model.safetensors, "
                            "open_clip_model.safetensors, "
                            "pytorch_model.bin or "
                            "open_clip_pytorch_model.bin; name the "
                            "file"));
}

// The first bytes: enough for the length of a safetensors header.
absl::StatusOr<std::string> FirstBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(16, '\0');
  if (!file) {
    return Error(absl::StatusCode::kInternal, "FILE_ERROR",
                 absl::StrCat("cannot read ", path));
  }
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return Error(status.code(), ErrorReason(status),
               absl::StrCat(path, ": ", status.message()));
}

}  // namespace

absl::string_view KindName(SourceFile::Kind kind) {
  switch (kind) {
    case SourceFile::Kind::kSafetensors:
      return "safetensors";
    case SourceFile::Kind::kTorchScript:
      return "TorchScript archive";
    case SourceFile::Kind::kStateDict:
      return "state_dict";
  }
  return "";
}

absl::StatusOr<SourceFile> ReadSourceFile(const std::string& path) {
  SourceFile source;
  ATTUNE_ASSIGN_OR_RETURN(source.path, FindFile(path));
  ATTUNE_ASSIGN_OR_RETURN(const std::string bytes, FirstBytes(source.path));
  if (absl::StartsWith(bytes, kZip)) {
    absl::StatusOr<TorchArchive> archive = ReadTorchArchive(source.path);
    if (!archive.ok()) return InFile(source.path, archive.status());
    source.kind = archive->is_torchscript ? SourceFile::Kind::kTorchScript
                                          : SourceFile::Kind::kStateDict;
    source.tensors = std::move(archive->tensors);
    return source;
  }
  if (absl::StartsWith(bytes, kPickle) &&
      !safetensors::HeaderSize(bytes).ok()) {
    return Error(
        absl::StatusCode::kInvalidArgument, "UNKNOWN_FORMAT",
        absl::StrCat(source.path,
                     ": a bare pickle, as PyTorch before 1.6 wrote them, is "
                     "not read; load it there, if you trust it, and save its "
                     "state_dict again with a newer torch.save"));
  }
  if (!safetensors::HeaderSize(bytes).ok()) {
    return Error(absl::StatusCode::kInvalidArgument, "UNKNOWN_FORMAT",
                 absl::StrCat(source.path,
                              ": neither a safetensors file nor an archive of "
                              "torch.save or torch.jit.save, or truncated"));
  }
  ATTUNE_ASSIGN_OR_RETURN(model::LoadedFile file,
                          model::LoadTensors(source.path));
  source.tensors = std::move(file.tensors);
  source.metadata = std::move(file.metadata);
  return source;
}

}  // namespace attune::convert
