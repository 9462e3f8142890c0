#include "client/model_folder.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/file_writer.h"
#include "client/tokenizer_files.h"
#include "common/error.h"
#include "common/safetensors/clip_files.h"
#include "common/safetensors/clip_layout.h"
#include "common/safetensors/clip_names.h"
#include "common/safetensors/safetensors.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

using safetensors::TensorInfo;

constexpr int64_t kPieceBytes = 1 << 20;
// Of the tokenizer that goes with a model; another size is another one's.
constexpr int kClipVocabularySize = 49408;

// A safetensors file in OpenAI's layout.
class ModelFile {
 public:
  explicit ModelFile(const std::string& path)
      : path_(path), file_(path, std::ios::binary) {}

  // Reads the header; call first.
  absl::Status Open() {
    std::error_code code;
    const auto file_size =
        static_cast<int64_t>(std::filesystem::file_size(path_, code));
    if (code || !file_) return Failed();
    std::string bytes;
    ATTUNE_RETURN_IF_ERROR(
        Read(0, std::min(file_size, safetensors::kLengthBytes + 1), &bytes));
    ATTUNE_ASSIGN_OR_RETURN(const int64_t header_size,
                            safetensors::HeaderSize(bytes));
    ATTUNE_RETURN_IF_ERROR(Read(0, std::min(file_size, header_size), &bytes));
    ATTUNE_ASSIGN_OR_RETURN(header_,
                            safetensors::ParseHeader(bytes, file_size));
    ATTUNE_ASSIGN_OR_RETURN(config_, ReadClipConfig(header_));
    for (const TensorInfo& tensor : header_.tensors) {
      by_name_[tensor.name] = &tensor;
    }
    return absl::OkStatus();
  }

  const ClipConfig& config() const { return config_; }
  bool HasHead() const { return by_name_.contains(kHeadDirections); }
  const TensorInfo& Find(const std::string& name) const {
    return *by_name_.at(name);
  }

  // Bytes of a tensor, counted from its first.
  absl::Status ReadTensor(const TensorInfo& tensor, int64_t begin, int64_t size,
                          std::string* bytes) {
    return Read(header_.data_begin + tensor.begin + begin, size, bytes);
  }

 private:
  absl::Status Failed() const {
    return Error(absl::StatusCode::kInternal, "FILE_ERROR",
                 absl::StrCat("cannot read ", path_));
  }

  absl::Status Read(int64_t begin, int64_t size, std::string* bytes) {
    bytes->resize(static_cast<size_t>(size));
    file_.seekg(begin);
    file_.read(bytes->data(), size);
    return file_ ? absl::OkStatus() : Failed();
  }

  std::string path_;
  std::ifstream file_;
  safetensors::Header header_;
  ClipConfig config_;
  std::map<std::string, const TensorInfo*> by_name_;
};

// [R, C] → [C, R], values of so many bytes.
std::string Transposed(const std::string& bytes, int64_t rows, int64_t columns,
                       int64_t value_bytes) {
  std::string result(bytes.size(), '\0');
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      std::memcpy(&result[(column * rows + row) * value_bytes],
                  &bytes[(row * columns + column) * value_bytes],
                  static_cast<size_t>(value_bytes));
    }
  }
  return result;
}

absl::Status WriteTensor(ModelFile& model, const LayoutTensor& tensor,
                         FileWriter& file) {
  const TensorInfo& source = model.Find(tensor.source);
  const int64_t value_bytes = safetensors::ByteSize(source.data_type);
  const int64_t size =
      *safetensors::TensorBytes(source.data_type, tensor.shape);
  std::string bytes;
  if (tensor.transposed) {
    ATTUNE_RETURN_IF_ERROR(model.ReadTensor(source, 0, size, &bytes));
    return file.Write(
        Transposed(bytes, source.shape[0], source.shape[1], value_bytes));
  }
  const int64_t rows = tensor.shape.empty() ? 1 : tensor.shape[0];
  const int64_t begin = tensor.first_row * (size / rows);
  for (int64_t at = 0; at < size; at += kPieceBytes) {
    ATTUNE_RETURN_IF_ERROR(model.ReadTensor(
        source, begin + at, std::min(kPieceBytes, size - at), &bytes));
    ATTUNE_RETURN_IF_ERROR(file.Write(bytes));
  }
  return absl::OkStatus();
}

absl::Status WriteTensors(ModelFile& model, ClipLayout layout,
                          FileWriter& file) {
  const std::vector<LayoutTensor> tensors =
      LayoutTensors(model.config(), layout);
  std::vector<TensorInfo> infos;
  for (const LayoutTensor& tensor : tensors) {
    infos.push_back({.name = tensor.name,
                     .data_type = model.Find(tensor.source).data_type,
                     .shape = tensor.shape});
  }
  ATTUNE_RETURN_IF_ERROR(file.Write(
      safetensors::WriteHeader(infos, ClipMetadata(model.config()))));
  for (const LayoutTensor& tensor : tensors) {
    ATTUNE_RETURN_IF_ERROR(WriteTensor(model, tensor, file));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelFormat> ParseModelFormat(absl::string_view name) {
  if (name == "openai") return ModelFormat::kOpenAi;
  if (name == "huggingface") return ModelFormat::kHuggingFace;
  if (name == "open_clip") return ModelFormat::kOpenClip;
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_FORMAT",
               absl::StrCat("'", name,
                            "' is no format; openai, huggingface "
                            "and open_clip are"));
}

std::string ModelFileName(ModelFormat format) {
  return format == ModelFormat::kOpenClip ? "open_clip_model.safetensors"
                                          : "model.safetensors";
}

absl::Status WriteModelFolder(const std::string& source, ModelFormat format,
                              const std::string& folder) {
  ModelFile model(source);
  ATTUNE_RETURN_IF_ERROR(model.Open());
  if (model.HasHead()) {
    return Error(absl::StatusCode::kFailedPrecondition, "HEAD_NOT_EXPORTABLE",
                 "the version has a linear head, which the files of other "
                 "programs cannot hold: use --format openai");
  }
  std::vector<std::pair<std::string, std::string>> texts;
  ClipLayout layout = ClipLayout::kOpenAi;
  if (format == ModelFormat::kHuggingFace) {
    layout = ClipLayout::kHuggingFace;
    texts = {{"config.json", HuggingFaceConfigFile(model.config())},
             {"preprocessor_config.json",
              HuggingFacePreprocessorFile(model.config())}};
    if (model.config().vocabulary_size == kClipVocabularySize) {
      for (auto& file : TokenizerFiles(model.config().context_length)) {
        texts.push_back(std::move(file));
      }
    }
  } else {
    texts = {{"open_clip_config.json", OpenClipConfigFile(model.config())}};
  }
  const auto path = [&](const std::string& name) {
    return (std::filesystem::path(folder) / name).string();
  };
  // Writers stay where they are made.
  std::list<FileWriter> files;
  ATTUNE_RETURN_IF_ERROR(WriteTensors(
      model, layout, files.emplace_back(path(ModelFileName(format)))));
  for (const auto& [name, text] : texts) {
    ATTUNE_RETURN_IF_ERROR(files.emplace_back(path(name)).Write(text));
  }
  for (FileWriter& file : files) ATTUNE_RETURN_IF_ERROR(file.Commit());
  return absl::OkStatus();
}

}  // namespace attune::client
