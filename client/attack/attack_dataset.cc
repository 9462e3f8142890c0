#include "client/attack/attack_dataset.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/attack/attack_painter.h"
#include "client/attack/attack_source.h"
#include "client/attack/contact_sheet.h"
#include "client/drawing/random.h"
#include "client/drawing/system_fonts.h"
#include "client/examples_file.h"
#include "client/file_writer.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/image/decode.h"
#include "common/image/encode.h"
#include "common/image/preprocess.h"
#include "common/names.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kJpegQuality = 100;
constexpr int64_t kSheetTiles = 40;
constexpr size_t kMaxViolations = 100;

absl::Status NotWritten(const fs::path& path, const std::error_code& code) {
  return Error(
      absl::StatusCode::kFailedPrecondition, "FILE_NOT_WRITTEN",
      absl::StrCat("cannot write ", path.string(), ": ", code.message()));
}

// A folder beside `output` that takes its name at Commit and goes away
// otherwise.
class NewFolder {
 public:
  explicit NewFolder(fs::path output)
      : output_(std::move(output)),
        path_(absl::StrCat(output_.string(), ".", RandomHex(4), ".part")) {}
  ~NewFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const fs::path& path() const { return path_; }

  absl::Status Create() {
    std::error_code code;
    if (fs::exists(output_, code) && !fs::is_empty(output_, code)) {
      return Error(absl::StatusCode::kAlreadyExists, "OUTPUT_EXISTS",
                   absl::StrCat(output_.string(),
                                " is there already: give another folder, or "
                                "remove this one"));
    }
    fs::create_directories(path_ / "images", code);
    return code ? NotWritten(path_, code) : absl::OkStatus();
  }

  absl::Status Commit() {
    std::error_code code;
    fs::rename(path_, output_, code);
    return code ? NotWritten(output_, code) : absl::OkStatus();
  }

 private:
  fs::path output_;
  fs::path path_;
};

// Into the new folder, which is what becomes whole at once.
absl::Status WriteFile(const fs::path& path, absl::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (file) return absl::OkStatus();
  return NotWritten(path, std::error_code(errno, std::generic_category()));
}

// "/a/b/" names the same folder as "/a/b".
fs::path WithoutTrailingSlash(const std::string& path) {
  const fs::path given(path);
  return given.has_filename() ? given : given.parent_path();
}

std::string HexColor(Rgb8 color) {
  return absl::StrFormat("#%02x%02x%02x", color.red, color.green, color.blue);
}

// The seed of one picture's attack.
uint64_t PictureSeed(uint64_t seed, const std::string& id) {
  return MixSeed(seed, std::stoull(Sha256Hex(id).substr(0, 16), nullptr, 16));
}

absl::StatusOr<image::RgbImage> ReadCropped(const std::string& path, int side) {
  ATTUNE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  image::RgbImage picture = {.width = side, .height = side, .pixels = {}};
  ATTUNE_ASSIGN_OR_RETURN(picture.pixels,
                          image::DecodeAndPreprocess(bytes, side));
  return picture;
}

class DatasetMaker {
 public:
  DatasetMaker(const AttackOptions& options, AttackSource source,
               AttackPainter painter, fs::path folder)
      : options_(options),
        source_(std::move(source)),
        painter_(std::move(painter)),
        folder_(std::move(folder)) {}

  absl::Status MakePictures(
      const std::function<void(int64_t, int64_t)>& progress);
  absl::Status WriteLists(const std::vector<std::string>& words);
  // The contact sheet as PNG.
  absl::StatusOr<std::string> Sheet();

 private:
  absl::Status MakePicture(int64_t index);
  void AddRows(const LabelledPicture& picture, const Attack& attack,
               const std::string& clean, const std::string& attacked);
  void AddRow(Json row, const LabelledPicture& picture);

  const AttackOptions& options_;
  AttackSource source_;
  AttackPainter painter_;
  fs::path folder_;
  std::string examples_;
  std::string attacks_;
  std::vector<SheetTile> tiles_;
};

absl::Status DatasetMaker::MakePictures(
    const std::function<void(int64_t, int64_t)>& progress) {
  std::vector<FieldViolation> violations;
  const auto total = static_cast<int64_t>(source_.pictures.size());
  for (int64_t i = 0; i < total; ++i) {
    const absl::Status status = MakePicture(i);
    // Every picture that cannot be read is named; a full disk ends it.
    if (ErrorReason(status) == "FILE_NOT_WRITTEN") return status;
    if (!status.ok()) {
      violations.push_back(
          {source_.pictures[i].path, std::string(status.message())});
    }
    if (violations.size() == kMaxViolations) break;
    progress(i + 1, total);
  }
  if (violations.empty()) return absl::OkStatus();
  return InvalidFields("INVALID_PICTURES", violations);
}

absl::Status DatasetMaker::MakePicture(int64_t index) {
  const LabelledPicture& picture = source_.pictures[index];
  ATTUNE_ASSIGN_OR_RETURN(image::RgbImage pixels,
                          ReadCropped(picture.path, options_.side));
  const std::string clean = absl::StrFormat("images/%06d_clean.jpg", index + 1);
  const std::string attacked =
      absl::StrFormat("images/%06d_attacked.jpg", index + 1);
  ATTUNE_ASSIGN_OR_RETURN(const std::string clean_bytes,
                          image::EncodeJpeg(pixels, kJpegQuality));
  const Attack attack = painter_.Paint(
      picture.class_name, PictureSeed(options_.seed, picture.id), &pixels);
  ATTUNE_ASSIGN_OR_RETURN(const std::string attacked_bytes,
                          image::EncodeJpeg(pixels, kJpegQuality));
  ATTUNE_RETURN_IF_ERROR(WriteFile(folder_ / clean, clean_bytes));
  ATTUNE_RETURN_IF_ERROR(WriteFile(folder_ / attacked, attacked_bytes));
  AddRows(picture, attack, clean, attacked);
  // Evenly over the source, the first picture among them.
  const auto total = static_cast<int64_t>(source_.pictures.size());
  const auto shown = static_cast<int64_t>(tiles_.size());
  if (!options_.preview.empty() &&
      index >= shown * total / std::min(kSheetTiles, total)) {
    tiles_.push_back({std::move(pixels), picture.class_name});
  }
  return absl::OkStatus();
}

void DatasetMaker::AddRow(Json row, const LabelledPicture& picture) {
  if (!picture.attributes.empty()) row["attributes"] = picture.attributes;
  absl::StrAppend(&examples_, row.dump(), "\n");
}

void DatasetMaker::AddRows(const LabelledPicture& picture, const Attack& attack,
                           const std::string& clean,
                           const std::string& attacked) {
  const std::string label = FillPrompt(options_.prompt, picture.class_name);
  const std::string written = FillPrompt(options_.prompt, attack.word);
  if (options_.labelled) {
    AddRow({{"image", clean}, {"label", label}}, picture);
    AddRow({{"image", attacked}, {"label", label}, {"attack", written}},
           picture);
  } else {
    AddRow({{"image", attacked},
            {"preferred", label},
            {"rejected", written},
            {"clean_image", clean}},
           picture);
  }
  const Json row = {
      {"image", attacked},
      {"source", picture.id},
      {"class", picture.class_name},
      {"word", attack.word},
      {"font", attack.font->name()},
      {"size", attack.size},
      {"fill", HexColor(attack.fill)},
      {"outline", HexColor(attack.outline)},
      {"box", {attack.left, attack.top, attack.width, attack.height}}};
  // File names need not be UTF-8.
  absl::StrAppend(&attacks_,
                  row.dump(-1, ' ', false, Json::error_handler_t::replace),
                  "\n");
}

absl::Status DatasetMaker::WriteLists(const std::vector<std::string>& words) {
  std::set<std::string> names(source_.class_names.begin(),
                              source_.class_names.end());
  names.insert(words.begin(), words.end());
  std::string candidates;
  for (const std::string& name : names) {
    absl::StrAppend(&candidates, FillPrompt(options_.prompt, name), "\n");
  }
  ATTUNE_RETURN_IF_ERROR(WriteFile(folder_ / "candidates.txt", candidates));
  ATTUNE_RETURN_IF_ERROR(WriteFile(folder_ / "attacks.jsonl", attacks_));
  return WriteFile(folder_ / "examples.jsonl", examples_);
}

absl::StatusOr<std::string> DatasetMaker::Sheet() {
  return image::EncodePng(MakeContactSheet(
      tiles_, [&](absl::string_view text) { return painter_.FontFor(text); }));
}

// The words to write, each class having one of another.
absl::StatusOr<std::vector<std::string>> ReadWords(
    const AttackOptions& options, const std::vector<std::string>& classes) {
  std::vector<std::string> words = classes;
  if (!options.words.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(words, ReadLines(options.words));
    for (const std::string& word : words) {
      ATTUNE_RETURN_IF_ERROR(ValidateText(options.words, word));
    }
    const std::set<std::string> distinct(words.begin(), words.end());
    words.assign(distinct.begin(), distinct.end());
  }
  for (const std::string& name : classes) {
    if (absl::c_any_of(words, [&](const std::string& word) {
          return !SameName(word, name);
        })) {
      continue;
    }
    return Error(absl::StatusCode::kInvalidArgument, "TOO_FEW_WORDS",
                 absl::StrCat("there is no word to write on pictures of ", name,
                              ": an attack names another class, so give two "
                              "classes or more, or --words with other words"));
  }
  return words;
}

absl::Status CheckPrompt(const std::string& prompt) {
  const size_t at = prompt.find("{}");
  if (at != std::string::npos &&
      prompt.find("{}", at + 2) == std::string::npos) {
    return ValidateText("prompt", prompt);
  }
  return InvalidField("prompt",
                      "must have one {} for the class, as in 'a photo of a "
                      "{}.'");
}

}  // namespace

absl::StatusOr<AttackSummary> MakeAttackDataset(
    const AttackOptions& options,
    const std::function<void(int64_t done, int64_t total)>& progress) {
  ATTUNE_RETURN_IF_ERROR(CheckPrompt(options.prompt));
  ATTUNE_ASSIGN_OR_RETURN(AttackSource source,
                          ReadAttackSource(options.source, options.prompt));
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> words,
                          ReadWords(options, source.class_names));
  ATTUNE_ASSIGN_OR_RETURN(std::vector<std::unique_ptr<Font>> fonts,
                          LoadFonts(options.fonts));
  ATTUNE_ASSIGN_OR_RETURN(
      AttackPainter painter,
      AttackPainter::Create({.words = words,
                             .fonts = std::move(fonts),
                             .side = options.side,
                             .fonts_are_named = !options.fonts.empty()}));
  const AttackSummary summary = {
      .picture_count = static_cast<int64_t>(source.pictures.size()),
      .class_count = static_cast<int64_t>(source.class_names.size()),
      .word_count = static_cast<int64_t>(words.size()),
      .font_count = painter.font_count(),
      .ignored_file_count = source.ignored_files};

  NewFolder folder(WithoutTrailingSlash(options.output));
  ATTUNE_RETURN_IF_ERROR(folder.Create());
  DatasetMaker maker(options, std::move(source), std::move(painter),
                     folder.path());
  ATTUNE_RETURN_IF_ERROR(maker.MakePictures(progress));
  ATTUNE_RETURN_IF_ERROR(maker.WriteLists(words));
  if (options.preview.empty()) {
    ATTUNE_RETURN_IF_ERROR(folder.Commit());
    return summary;
  }
  ATTUNE_ASSIGN_OR_RETURN(const std::string sheet, maker.Sheet());
  FileWriter file(options.preview);
  ATTUNE_RETURN_IF_ERROR(file.Write(sheet));
  ATTUNE_RETURN_IF_ERROR(folder.Commit());
  ATTUNE_RETURN_IF_ERROR(file.Commit());
  return summary;
}

}  // namespace attune::client
