#include "client/attack/attack_painter.h"

#include <algorithm>
#include <array>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/drawing/random.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

// Pixels of a picture of kReferenceSide; other sides have them in proportion.
constexpr double kReferenceSide = 224;
constexpr double kSmallestDrawn = 20;
constexpr double kLargestDrawn = 40;
constexpr double kSizeStep = 1;
// Below this a word cannot be read.
constexpr double kSmallest = 8;

// Of a pixel of the picture, whatever its size.
constexpr double kStroke = 1;

constexpr std::array<Rgb8, 8> kColors = {{{0, 0, 0},
                                          {0, 0, 255},
                                          {0, 255, 255},
                                          {0, 255, 0},
                                          {255, 0, 255},
                                          {255, 0, 0},
                                          {255, 255, 255},
                                          {255, 255, 0}}};

constexpr size_t kMaxViolations = 100;

absl::Status Refuse(absl::string_view reason,
                    std::vector<FieldViolation> violations) {
  violations.resize(std::min(violations.size(), kMaxViolations));
  return InvalidFields(reason, violations);
}

}  // namespace

std::vector<std::string> BreakIntoLines(absl::string_view name) {
  const std::vector<std::string> words =
      absl::StrSplit(name, ' ', absl::SkipEmpty());
  const auto join = [&](size_t first, size_t last) {
    return absl::StrJoin(words.begin() + first, words.begin() + last, " ");
  };
  if (words.size() < 2) return {join(0, words.size())};
  const size_t first_line = words.size() <= 3 ? 1 : 2;
  return {join(0, first_line), join(first_line, words.size())};
}

bool SameName(absl::string_view a, absl::string_view b) {
  return absl::EqualsIgnoreCase(a, b);
}

absl::StatusOr<AttackPainter> AttackPainter::Create(Options options) {
  AttackPainter painter(std::move(options));
  ATTUNE_RETURN_IF_ERROR(painter.FindFonts());
  return painter;
}

bool AttackPainter::Fits(const Word& word, Font& font, double size) const {
  const TextExtent extent = MeasureText(font, word.lines, size, kStroke);
  return extent.width <= options_.side && extent.height <= options_.side;
}

absl::Status AttackPainter::FindFonts() {
  const double smallest = kSmallest * options_.side / kReferenceSide;
  std::vector<FieldViolation> unwritable;
  std::vector<FieldViolation> too_long;
  std::set<Font*> writers;
  for (const std::string& name : options_.words) {
    Word word = {.name = name, .lines = BreakIntoLines(name), .fonts = {}};
    // What the font with the fewest gaps lacks.
    std::string missing = name;
    bool written = false;
    for (const std::unique_ptr<Font>& font : options_.fonts) {
      const std::string lacks = MissingCharacters(*font, name);
      if (lacks.size() < missing.size()) missing = lacks;
      if (!lacks.empty()) continue;
      written = true;
      writers.insert(font.get());
      if (Fits(word, *font, smallest)) word.fonts.push_back(font.get());
    }
    if (!written) {
      unwritable.push_back(
          {name, absl::StrCat("no font has glyphs for ", missing,
                              ": name one that has with --font")});
    } else if (word.fonts.empty()) {
      too_long.push_back(
          {name, absl::StrCat("does not fit into a picture of ", options_.side,
                              " pixels at a size that can be read: shorten "
                              "it, or leave the class out")});
    }
    words_.push_back(std::move(word));
  }
  for (const std::unique_ptr<Font>& font : options_.fonts) {
    if (options_.fonts_are_named && !writers.contains(font.get())) {
      unwritable.push_back(
          {font->path(),
           "has the glyphs of none of the words: leave this font out"});
    }
  }
  if (!unwritable.empty()) return Refuse("FONT_LACKS_GLYPHS", unwritable);
  if (!too_long.empty()) return Refuse("WORD_DOES_NOT_FIT", too_long);
  return absl::OkStatus();
}

Attack AttackPainter::Paint(absl::string_view class_name, uint64_t seed,
                            image::RgbImage* picture) {
  Random random(seed);
  std::vector<const Word*> others;
  for (const Word& word : words_) {
    if (!SameName(word.name, class_name)) others.push_back(&word);
  }
  const Word& word = *others[random.Index(static_cast<int>(others.size()))];
  Font& font = *word.fonts[random.Index(static_cast<int>(word.fonts.size()))];
  const double scale = options_.side / kReferenceSide;
  double size = scale * random.Uniform(kSmallestDrawn, kLargestDrawn);
  while (size > scale * kSmallest && !Fits(word, font, size)) {
    size = std::max(scale * kSmallest, size - scale * kSizeStep);
  }
  const TextMask mask = DrawText(font, word.lines, size, kStroke);
  const int fill = random.Index(kColors.size());
  const int outline =
      (fill + 1 + random.Index(kColors.size() - 1)) % kColors.size();
  Attack attack = {.word = word.name,
                   .font = &font,
                   .size = size,
                   .fill = kColors[fill],
                   .outline = kColors[outline],
                   .left = random.Index(options_.side - mask.width + 1),
                   .top = random.Index(options_.side - mask.height + 1),
                   .width = mask.width,
                   .height = mask.height};
  BlendText(mask, attack.left, attack.top, attack.fill, attack.outline,
            picture);
  return attack;
}

Font* AttackPainter::FontFor(absl::string_view text) {
  for (const std::unique_ptr<Font>& font : options_.fonts) {
    if (MissingCharacters(*font, text).empty()) return font.get();
  }
  return nullptr;
}

int AttackPainter::font_count() const {
  std::set<Font*> used;
  for (const Word& word : words_) {
    used.insert(word.fonts.begin(), word.fonts.end());
  }
  return static_cast<int>(used.size());
}

}  // namespace attune::client
