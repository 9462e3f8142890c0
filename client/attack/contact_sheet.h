#ifndef ATTUNE_CLIENT_ATTACK_CONTACT_SHEET_H_
#define ATTUNE_CLIENT_ATTACK_CONTACT_SHEET_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/drawing/font.h"
#include "common/image/rgb_image.h"

namespace attune::client {

struct SheetTile {
  image::RgbImage picture;
  std::string caption;
};

// The pictures in rows of eight at most, each above its caption, on white.
// `font_for` returns a font that can write a text, or null: the caption is
// then left out. A caption that is too wide is written smaller.
// REQUIRES: a tile or more, all pictures of one size.
image::RgbImage MakeContactSheet(
    const std::vector<SheetTile>& tiles,
    const std::function<Font*(absl::string_view)>& font_for);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_ATTACK_CONTACT_SHEET_H_
