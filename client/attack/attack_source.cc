#include "client/attack/attack_source.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/examples_file.h"
#include "common/error.h"
#include "common/names.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

namespace fs = std::filesystem;

constexpr std::array<absl::string_view, 4> kExtensions = {".jpg", ".jpeg",
                                                          ".png", ".webp"};
constexpr size_t kMaxViolations = 100;

bool IsHidden(const fs::path& path) {
  return absl::StartsWith(path.filename().string(), ".");
}

// Adds the pictures of one class's folder.
absl::Status AddFolder(const fs::path& folder, AttackSource* source) {
  const std::string name =
      absl::StrReplaceAll(folder.filename().string(), {{"_", " "}});
  if (absl::Status status = ValidateText("class", name); !status.ok()) {
    return Error(absl::StatusCode::kInvalidArgument, "INVALID_CLASS_NAME",
                 absl::StrCat("the folder ", folder.string(),
                              " is no name of a class: ", status.message()));
  }
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code)) {
    if (IsHidden(entry->path()) || !entry->is_regular_file(code)) continue;
    const std::string extension =
        absl::AsciiStrToLower(entry->path().extension().string());
    if (!absl::c_linear_search(kExtensions, extension)) {
      ++source->ignored_files;
      continue;
    }
    source->pictures.push_back(
        {.id = (folder.filename() / entry->path().filename()).generic_string(),
         .path = entry->path().string(),
         .class_name = name,
         .attributes = {}});
  }
  if (code) {
    return Error(absl::StatusCode::kNotFound, "FILE_NOT_FOUND",
                 absl::StrCat("cannot read the folder ", folder.string(), ": ",
                              code.message()));
  }
  return absl::OkStatus();
}

absl::StatusOr<AttackSource> ReadFolder(const std::string& path) {
  AttackSource source;
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, code)) {
    if (IsHidden(entry.path()) || !entry.is_directory(code)) continue;
    ATTUNE_RETURN_IF_ERROR(AddFolder(entry.path(), &source));
  }
  if (source.pictures.empty()) {
    return Error(absl::StatusCode::kNotFound, "NO_PICTURES",
                 absl::StrCat(path,
                              " holds no folders with pictures: make a folder "
                              "for each class, or give a file of labelled "
                              "rows"));
  }
  return source;
}

// What stands in the place of "{}", if the label is made from the prompt.
std::optional<std::string> TakeName(absl::string_view prompt,
                                    absl::string_view label) {
  const size_t at = prompt.find("{}");
  if (!absl::ConsumePrefix(&label, prompt.substr(0, at)) ||
      !absl::ConsumeSuffix(&label, prompt.substr(at + 2)) || label.empty()) {
    return std::nullopt;
  }
  return std::string(label);
}

absl::Status WrongRows(const std::vector<FieldViolation>& violations) {
  return InvalidFields("INVALID_EXAMPLES_FILE", violations);
}

absl::StatusOr<AttackSource> ReadRows(const std::string& path,
                                      absl::string_view prompt) {
  ATTUNE_ASSIGN_OR_RETURN(const ExamplesFile file, ExamplesFile::Open(path));
  const fs::path folder = fs::path(path).parent_path();
  AttackSource source;
  std::vector<FieldViolation> violations;
  std::vector<FieldViolation> without_prompt;
  for (int64_t i = 0; i < file.size(); ++i) {
    const v1::Example& example = file.example(i);
    const std::string& label = example.labelled().label();
    if (!example.has_labelled() || !example.labelled().attack().empty()) {
      violations.push_back(
          {file.Place(i),
           example.has_labelled()
               ? "has an attack already: clean pictures are needed"
               : "is not a labelled row: give \"image\" and \"label\""});
      if (violations.size() == kMaxViolations) break;
      continue;
    }
    const std::optional<std::string> name = TakeName(prompt, label);
    if (!name) {
      without_prompt.push_back(
          {file.Place(i),
           absl::StrCat("the label '", label, "' is not made from the prompt '",
                        prompt, "', as others are")});
    }
    const fs::path image = file.image_path(i);
    source.pictures.push_back(
        {.id = folder.empty()
                   ? image.generic_string()
                   : image.lexically_relative(folder).generic_string(),
         .path = image.string(),
         .class_name = name.value_or(label),
         .attributes = {example.attributes().begin(),
                        example.attributes().end()}});
  }
  if (!violations.empty()) return WrongRows(violations);
  if (without_prompt.size() != source.pictures.size() &&
      !without_prompt.empty()) {
    without_prompt.resize(std::min(without_prompt.size(), kMaxViolations));
    return WrongRows(without_prompt);
  }
  return source;
}

}  // namespace

absl::StatusOr<AttackSource> ReadAttackSource(const std::string& path,
                                              absl::string_view prompt) {
  std::error_code code;
  ATTUNE_ASSIGN_OR_RETURN(AttackSource source, fs::is_directory(path, code)
                                                   ? ReadFolder(path)
                                                   : ReadRows(path, prompt));
  std::set<std::string> names;
  for (const LabelledPicture& picture : source.pictures) {
    names.insert(picture.class_name);
  }
  source.class_names.assign(names.begin(), names.end());
  absl::c_sort(source.pictures,
               [](const LabelledPicture& a, const LabelledPicture& b) {
                 return a.id < b.id;
               });
  return source;
}

std::string FillPrompt(absl::string_view prompt, absl::string_view name) {
  return absl::StrReplaceAll(prompt, {{"{}", name}});
}

}  // namespace attune::client
