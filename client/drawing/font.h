#ifndef ATTUNE_CLIENT_DRAWING_FONT_H_
#define ATTUNE_CLIENT_DRAWING_FONT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

struct FT_FaceRec_;

namespace attune::client {

// A font of a font file. Not thread-safe, and used by the thread that loaded
// it only.
class Font {
 public:
  // `index`: which font of a collection (.ttc). NOT_FOUND when FreeType cannot
  // read the file; INVALID_ARGUMENT, reason FONT_NOT_SCALABLE, for a font of
  // bitmaps.
  static absl::StatusOr<std::unique_ptr<Font>> Load(const std::string& path,
                                                    int index = 0);
  ~Font();
  Font(const Font&) = delete;
  Font& operator=(const Font&) = delete;

  const std::string& path() const { return path_; }
  // "DejaVu Sans Bold".
  const std::string& name() const { return name_; }
  // FreeType's; owned by this.
  FT_FaceRec_* face() { return face_; }

 private:
  Font(std::string path, FT_FaceRec_* face);

  std::string path_;
  std::string name_;
  FT_FaceRec_* face_;
};

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_DRAWING_FONT_H_
