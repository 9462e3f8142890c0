// What this folder and the demo's canvas share of FreeType. Only sources
// include this.

#ifndef ATTUNE_CLIENT_DRAWING_FREETYPE_H_
#define ATTUNE_CLIENT_DRAWING_FREETYPE_H_

#include <ft2build.h>

#include <vector>

#include "client/drawing/font.h"
#include FT_FREETYPE_H
#include FT_OUTLINE_H

namespace attune::client {

// FreeType's library object; not thread-safe, so each thread has its own.
FT_Library FreeTypeLibrary();

// FreeType's coordinates have 6 fractional bits.
FT_Pos ToFreeType(double pixels);

// The font's face, set to a size in pixels.
FT_Face FaceAtSize(Font& font, double size);

// How much of each pixel of a width × height picture the outline covers, 0 to
// 255, row by row from the top. The outline's origin is the lower left corner.
std::vector<unsigned char> OutlineCoverage(FT_Outline& outline, int width,
                                           int height);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_DRAWING_FREETYPE_H_
