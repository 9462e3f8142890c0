// Typographic attacks as arXiv 2411.08923 trains on them: the name of another
// class written on a photo.

#ifndef ATTUNE_CLIENT_ATTACK_ATTACK_PAINTER_H_
#define ATTUNE_CLIENT_ATTACK_ATTACK_PAINTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/drawing/font.h"
#include "client/drawing/text_mask.h"
#include "common/image/rgb_image.h"

namespace attune::client {

// What was written, and where.
struct Attack {
  std::string word;
  // The painter's.
  const Font* font = nullptr;
  double size = 0;  // pixels
  Rgb8 fill;
  Rgb8 outline;
  // All that was drawn lies in it.
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;
};

// A name as it is written: of two and three words the first stands on a line
// of its own, of more the first two do.
std::vector<std::string> BreakIntoLines(absl::string_view name);

// Whether two names are the same word to a reader of English.
bool SameName(absl::string_view a, absl::string_view b);

// Writes words on pictures. Not thread-safe.
class AttackPainter {
 public:
  struct Options {
    std::vector<std::string> words;
    std::vector<std::unique_ptr<Font>> fonts;
    // Of the pictures, in pixels. Words are 20 to 40 px high at 224.
    int side = 224;
    // Whether the user named the fonts: one that can write none of the words
    // is then an error, otherwise it is not used.
    bool fonts_are_named = false;
  };

  // INVALID_ARGUMENT with the first 100 words as fields: reason
  // FONT_LACKS_GLYPHS for words that none of the fonts has the characters of,
  // and for fonts that were named in vain; reason WORD_DOES_NOT_FIT for words
  // that are wider than the picture at 8 px (at 224) in every font.
  static absl::StatusOr<AttackPainter> Create(Options options);

  // Writes a word other than the picture's class: word, font, size, two of
  // eight colours and position follow from the seed alone.
  // REQUIRES: the picture has the painter's sides; a word is not SameName as
  // the class.
  Attack Paint(absl::string_view class_name, uint64_t seed,
               image::RgbImage* picture);

  // A font that can write the text; null when there is none.
  Font* FontFor(absl::string_view text);

  // How many fonts are used.
  int font_count() const;

 private:
  // A word and the fonts that it can be written in.
  struct Word {
    std::string name;
    std::vector<std::string> lines;
    std::vector<Font*> fonts;
  };

  explicit AttackPainter(Options options) : options_(std::move(options)) {}

  bool Fits(const Word& word, Font& font, double size) const;
  absl::Status FindFonts();

  Options options_;
  std::vector<Word> words_;
};

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_ATTACK_ATTACK_PAINTER_H_
