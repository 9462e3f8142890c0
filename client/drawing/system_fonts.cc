#include "client/drawing/system_fonts.h"

#include <fontconfig/fontconfig.h>

#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

// Where a font is: its file and its number within it.
using Place = std::pair<std::string, int>;

absl::Status Missing(absl::string_view message) {
  return Error(absl::StatusCode::kNotFound, "FONT_MISSING", message);
}

// The scalable text fonts that match the pattern; "" matches all.
std::set<Place> Search(const std::string& pattern_text) {
  std::set<Place> places;
  const std::unique_ptr<FcConfig, void (*)(FcConfig*)> config(
      FcInitLoadConfigAndFonts(), FcConfigDestroy);
  const std::unique_ptr<FcPattern, void (*)(FcPattern*)> pattern(
      pattern_text.empty()
          ? FcPatternCreate()
          : FcNameParse(reinterpret_cast<const FcChar8*>(pattern_text.c_str())),
      FcPatternDestroy);
  const std::unique_ptr<FcObjectSet, void (*)(FcObjectSet*)> wanted(
      FcObjectSetBuild(FC_FILE, FC_INDEX, nullptr), FcObjectSetDestroy);
  if (config == nullptr || pattern == nullptr || wanted == nullptr) {
    return places;
  }
  FcPatternAddBool(pattern.get(), FC_SCALABLE, FcTrue);
  FcPatternAddBool(pattern.get(), FC_SYMBOL, FcFalse);
  FcPatternAddBool(pattern.get(), FC_COLOR, FcFalse);
  // The instances of a variable font are listed beside it.
  FcPatternAddBool(pattern.get(), FC_VARIABLE, FcFalse);
  const std::unique_ptr<FcFontSet, void (*)(FcFontSet*)> fonts(
      FcFontList(config.get(), pattern.get(), wanted.get()), FcFontSetDestroy);
  for (int i = 0; fonts != nullptr && i < fonts->nfont; ++i) {
    FcChar8* file = nullptr;
    int index = 0;
    if (FcPatternGetString(fonts->fonts[i], FC_FILE, 0, &file) ==
            FcResultMatch &&
        FcPatternGetInteger(fonts->fonts[i], FC_INDEX, 0, &index) ==
            FcResultMatch) {
      places.emplace(reinterpret_cast<const char*>(file), index);
    }
  }
  return places;
}

// Where the fonts of one name are.
absl::StatusOr<std::set<Place>> Find(const std::string& name) {
  std::error_code code;
  if (std::filesystem::is_regular_file(name, code)) {
    return std::set<Place>{{name, 0}};
  }
  std::set<Place> places = Search(name);
  if (!places.empty()) return places;
  return Missing(absl::StrCat("there is no font '", name,
                              "': give the path of a font file, or a name "
                              "that fc-list prints"));
}

}  // namespace

absl::StatusOr<std::vector<std::unique_ptr<Font>>> LoadFonts(
    const std::vector<std::string>& names) {
  std::vector<std::unique_ptr<Font>> fonts;
  std::set<Place> loaded;
  const auto load = [&](const std::set<Place>& places) -> absl::Status {
    for (const Place& place : places) {
      if (!loaded.insert(place).second) continue;
      absl::StatusOr<std::unique_ptr<Font>> font =
          Font::Load(place.first, place.second);
      if (absl::IsNotFound(font.status())) {
        return Missing(absl::StrCat(place.first,
                                    " is not a font that FreeType can read: "
                                    "give a .ttf, .otf or .ttc file"));
      }
      ATTUNE_RETURN_IF_ERROR(font.status());
      fonts.push_back(*std::move(font));
    }
    return absl::OkStatus();
  };
  for (const std::string& name : names) {
    ATTUNE_ASSIGN_OR_RETURN(const std::set<Place> places, Find(name));
    ATTUNE_RETURN_IF_ERROR(load(places));
  }
  if (names.empty()) {
    ATTUNE_RETURN_IF_ERROR(load(Search("")));
    if (fonts.empty()) {
      return Missing(
          "the system has no fonts: install some (such as the package "
          "fonts-dejavu-core) or name a file with --font");
    }
  }
  return fonts;
}

}  // namespace attune::client
