#include "worker/model/safetensors_io.h"

#include <ATen/Functions.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/status_macros.h"

namespace attune::model {
namespace {

using safetensors::DataType;

constexpr std::array<std::pair<DataType, at::ScalarType>, 5> kTypes = {{
    {DataType::kFloat32, at::kFloat},
    {DataType::kFloat16, at::kHalf},
    {DataType::kBfloat16, at::kBFloat16},
    {DataType::kInt64, at::kLong},
    {DataType::kUint8, at::kByte},
}};

at::ScalarType ScalarTypeOf(DataType type) {
  return std::find_if(kTypes.begin(), kTypes.end(),
                      [&](const auto& pair) { return pair.first == type; })
      ->second;
}

DataType DataTypeOf(at::ScalarType type) {
  return std::find_if(kTypes.begin(), kTypes.end(),
                      [&](const auto& pair) { return pair.second == type; })
      ->first;
}

absl::Status FileError(absl::string_view path, absl::string_view verb) {
  const int error = errno;
  return Error(
      absl::StatusCode::kInternal, "FILE_ERROR",
      absl::StrCat("cannot ", verb, " ", path, ": ", std::strerror(error)));
}

// The same error with the file's name before its message.
absl::Status InFile(absl::string_view path, const absl::Status& status) {
  return Error(status.code(), ErrorReason(status),
               absl::StrCat(path, ": ", status.message()));
}

absl::Status ReadFully(int file, absl::string_view path, char* data,
                       int64_t size, int64_t offset) {
  while (size > 0) {
    const ssize_t count = pread(file, data, size, offset);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) errno = EIO;
    if (count <= 0) return FileError(path, "read");
    data += count;
    offset += count;
    size -= count;
  }
  return absl::OkStatus();
}

absl::Status WriteFully(int file, absl::string_view path, const char* data,
                        int64_t size) {
  while (size > 0) {
    const ssize_t count = write(file, data, size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(path, "write");
    data += count;
    size -= count;
  }
  return absl::OkStatus();
}

// The tensor where its bytes are contiguous on the CPU.
at::Tensor OnCpu(const at::Tensor& tensor) {
  return tensor.detach().to(at::kCPU).contiguous();
}

// Calls `visit` with the header and then with every tensor.
absl::Status Read(
    int file, const std::string& path,
    const std::function<absl::Status(const safetensors::Header&)>& begin,
    const std::function<absl::Status(const std::string&, at::Tensor)>& visit) {
  struct stat status;
  if (fstat(file, &status) != 0) return FileError(path, "read");
  const int64_t file_size = status.st_size;

  std::string bytes(std::min<int64_t>(file_size, safetensors::kLengthBytes + 1),
                    '\0');
  ATTUNE_RETURN_IF_ERROR(ReadFully(file, path, bytes.data(), bytes.size(), 0));
  ATTUNE_ASSIGN_OR_RETURN(const int64_t header_size,
                          safetensors::HeaderSize(bytes));
  bytes.resize(std::min(file_size, header_size));
  ATTUNE_RETURN_IF_ERROR(ReadFully(file, path, bytes.data(), bytes.size(), 0));
  ATTUNE_ASSIGN_OR_RETURN(const safetensors::Header header,
                          safetensors::ParseHeader(bytes, file_size));
  ATTUNE_RETURN_IF_ERROR(begin(header));
  for (const safetensors::TensorInfo& info : header.tensors) {
    at::Tensor tensor = at::empty(info.shape, ScalarTypeOf(info.data_type));
    ATTUNE_RETURN_IF_ERROR(
        ReadFully(file, path, static_cast<char*>(tensor.data_ptr()),
                  info.end - info.begin, header.data_begin + info.begin));
    ATTUNE_RETURN_IF_ERROR(visit(info.name, std::move(tensor)));
  }
  return absl::OkStatus();
}

// Read of the file at `path`; errors name it.
absl::Status ReadPath(
    const std::string& path,
    const std::function<absl::Status(const safetensors::Header&)>& begin,
    const std::function<absl::Status(const std::string&, at::Tensor)>& visit) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return NotFound("file", path);
  if (file < 0) return FileError(path, "read");
  const absl::Cleanup close_file = [file] { close(file); };
  const absl::Status status = Read(file, path, begin, visit);
  if (status.ok() || absl::IsInternal(status)) return status;
  return InFile(path, status);
}

absl::Status Save(int file, const std::string& path, const Tensors& tensors,
                  const safetensors::Metadata& metadata) {
  std::vector<safetensors::TensorInfo> infos;
  for (const auto& [name, tensor] : tensors) {
    infos.push_back(DescribeTensor(name, tensor));
  }
  const std::string header = safetensors::WriteHeader(infos, metadata);
  ATTUNE_RETURN_IF_ERROR(WriteFully(file, path, header.data(), header.size()));
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor local = OnCpu(tensor);
    ATTUNE_RETURN_IF_ERROR(
        WriteFully(file, path, static_cast<const char*>(local.data_ptr()),
                   static_cast<int64_t>(local.nbytes())));
  }
  if (fsync(file) != 0) return FileError(path, "write");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LoadedFile> LoadTensors(const std::string& path) {
  LoadedFile loaded;
  ATTUNE_RETURN_IF_ERROR(ReadPath(
      path,
      [&](const safetensors::Header& header) {
        loaded.metadata = header.metadata;
        return absl::OkStatus();
      },
      [&](const std::string& name, at::Tensor tensor) {
        loaded.tensors[name] = std::move(tensor);
        return absl::OkStatus();
      }));
  return loaded;
}

absl::StatusOr<LoadedClip> LoadClip(const std::string& path) {
  LoadedClip clip;
  ATTUNE_RETURN_IF_ERROR(ReadPath(
      path,
      [&](const safetensors::Header& header) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(clip.config, ReadClipConfig(header));
        return absl::OkStatus();
      },
      [&](const std::string& name, at::Tensor tensor) {
        tensor = tensor.to(at::kFloat);
        if (!at::isfinite(tensor).all().item<bool>()) {
          return Error(absl::StatusCode::kInvalidArgument, "INVALID_CLIP",
                       absl::StrCat("tensor '", name,
                                    "' has values that are not finite"));
        }
        clip.tensors[name] = std::move(tensor);
        return absl::OkStatus();
      }));
  return clip;
}

absl::Status SaveTensors(const std::string& path, const Tensors& tensors,
                         const safetensors::Metadata& metadata) {
  const std::string temporary = absl::StrCat(path, ".", RandomHex(4), ".tmp");
  const int file =
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return FileError(path, "write");
  absl::Status status = Save(file, path, tensors, metadata);
  close(file);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = FileError(path, "write");
  }
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

absl::StatusOr<at::Tensor> TensorFromBytes(DataType type,
                                           const safetensors::Shape& shape,
                                           absl::string_view bytes) {
  const std::optional<int64_t> needed = safetensors::TensorBytes(type, shape);
  if (!needed || *needed != static_cast<int64_t>(bytes.size())) {
    return Error(absl::StatusCode::kInvalidArgument, "INVALID_TENSOR",
                 absl::StrCat("a tensor has ", bytes.size(),
                              " bytes, which its shape does not need"));
  }
  at::Tensor tensor = at::empty(shape, ScalarTypeOf(type));
  std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

std::string TensorBytes(const at::Tensor& tensor) {
  const at::Tensor local = OnCpu(tensor);
  return std::string(static_cast<const char*>(local.data_ptr()),
                     local.nbytes());
}

safetensors::TensorInfo DescribeTensor(const std::string& name,
                                       const at::Tensor& tensor) {
  return {.name = name,
          .data_type = DataTypeOf(tensor.scalar_type()),
          .shape = tensor.sizes().vec()};
}

}  // namespace attune::model
