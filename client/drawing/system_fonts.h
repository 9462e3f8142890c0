#ifndef ATTUNE_CLIENT_DRAWING_SYSTEM_FONTS_H_
#define ATTUNE_CLIENT_DRAWING_SYSTEM_FONTS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/drawing/font.h"

namespace attune::client {

// Loads fonts by what a user calls them: each name is the path of a file, or a
// pattern of fontconfig such as "DejaVu Sans" or "DejaVu Serif:bold", which
// may stand for several fonts. Without names: every scalable font of the
// system that is for text. Sorted by path within a name, so that the order
// does not depend on fontconfig's.
//
// NOT_FOUND, reason FONT_MISSING, naming what is neither a readable font file
// nor a font that the system has; FONT_NOT_SCALABLE as Font::Load.
absl::StatusOr<std::vector<std::unique_ptr<Font>>> LoadFonts(
    const std::vector<std::string>& names);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_DRAWING_SYSTEM_FONTS_H_
