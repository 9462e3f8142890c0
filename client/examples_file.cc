#include "client/examples_file.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/example_parser.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxImageBytes = 20 << 20;
constexpr size_t kMaxViolations = 100;

absl::Status NotReadable(absl::string_view path) {
  return Error(absl::StatusCode::kNotFound, "FILE_NOT_FOUND",
               absl::StrCat("cannot read the file ", path));
}

// Sizes of pictures, each looked up once.
class ImageSizes {
 public:
  // The size of the picture at `path`, or why it cannot be uploaded.
  absl::StatusOr<int64_t> Get(const std::string& path) {
    const auto known = sizes_.find(path);
    if (known != sizes_.end()) return known->second;
    std::error_code code;
    if (!fs::is_regular_file(path, code)) {
      return absl::NotFoundError(absl::StrCat("there is no file ", path));
    }
    const auto size = static_cast<int64_t>(fs::file_size(path, code));
    if (size == 0) {
      return absl::InvalidArgumentError(absl::StrCat(path, " is empty"));
    }
    if (size > kMaxImageBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " is larger than 20 MiB"));
    }
    sizes_[path] = size;
    return size;
  }

 private:
  absl::flat_hash_map<std::string, int64_t> sizes_;
};

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::error_code code;
  std::ifstream file(path, std::ios::binary);
  if (!file || fs::is_directory(path, code)) return NotReadable(path);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  if (file.bad()) return NotReadable(path);
  return std::move(bytes).str();
}

absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path) {
  ATTUNE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    const absl::string_view stripped = absl::StripAsciiWhitespace(line);
    if (!stripped.empty()) lines.emplace_back(stripped);
  }
  return lines;
}

absl::StatusOr<ExamplesFile> ExamplesFile::Open(const std::string& path) {
  std::error_code code;
  std::ifstream stream(path);
  if (!stream || fs::is_directory(path, code)) return NotReadable(path);
  ExamplesFile file;
  file.path_ = path;
  const fs::path folder = fs::path(path).parent_path();
  ImageSizes sizes;
  std::vector<FieldViolation> violations;
  // Parses a line into a row and adds up its pictures.
  const auto add = [&](absl::string_view line, int64_t number) -> absl::Status {
    ATTUNE_ASSIGN_OR_RETURN(ParsedExample parsed, ParseExample(line));
    Row row{.example = std::move(parsed.example),
            .image_path = (folder / parsed.image).string(),
            .clean_image_path = "",
            .line = number};
    ATTUNE_ASSIGN_OR_RETURN(int64_t bytes, sizes.Get(row.image_path));
    if (!parsed.clean_image.empty()) {
      row.clean_image_path = (folder / parsed.clean_image).string();
      ATTUNE_ASSIGN_OR_RETURN(const int64_t clean_bytes,
                              sizes.Get(row.clean_image_path));
      bytes += clean_bytes;
    }
    file.image_bytes_ += bytes;
    file.rows_.push_back(std::move(row));
    return absl::OkStatus();
  };
  int64_t number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    const absl::Status status = add(line, number);
    if (status.ok()) continue;
    violations.push_back(
        {absl::StrCat(path, ":", number), std::string(status.message())});
    if (violations.size() == kMaxViolations) break;
  }
  if (!violations.empty()) {
    return InvalidFields("INVALID_EXAMPLES_FILE", violations);
  }
  if (file.rows_.empty()) {
    return InvalidFields("INVALID_EXAMPLES_FILE",
                         {{path, "holds no examples"}});
  }
  return file;
}

absl::StatusOr<v1::Example> ExamplesFile::Read(int64_t index) const {
  const Row& row = rows_[static_cast<size_t>(index)];
  v1::Example example = row.example;
  const auto read =
      [&](const std::string& path) -> absl::StatusOr<std::string> {
    absl::StatusOr<std::string> bytes = ReadFile(path);
    if (bytes.ok()) return bytes;
    return Error(absl::StatusCode::kNotFound, "FILE_NOT_FOUND",
                 absl::StrCat(Place(index), ": cannot read the file ", path));
  };
  ATTUNE_ASSIGN_OR_RETURN(*example.mutable_image(), read(row.image_path));
  if (!row.clean_image_path.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(*example.mutable_pair()->mutable_clean_image(),
                            read(row.clean_image_path));
  }
  return example;
}

const v1::Example& ExamplesFile::example(int64_t index) const {
  return rows_[static_cast<size_t>(index)].example;
}

const std::string& ExamplesFile::image_path(int64_t index) const {
  return rows_[static_cast<size_t>(index)].image_path;
}

std::string ExamplesFile::Place(int64_t index) const {
  return absl::StrCat(path_, ":", rows_[static_cast<size_t>(index)].line);
}

}  // namespace attune::client
