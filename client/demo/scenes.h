// The demo's pictures: one object and perhaps one written word, 48 × 48. A
// tiny CLIP learns both to see and to read on them, so that a word of another
// class fools it as it fools the large ones.

#ifndef ATTUNE_CLIENT_DEMO_SCENES_H_
#define ATTUNE_CLIENT_DEMO_SCENES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/demo/canvas.h"

namespace attune::client {

inline constexpr int kSceneSide = 48;  // pixels

// Alignment's pairs show the first eight classes ("seen") and never the last
// four ("held out").
inline constexpr int kClassCount = 12;
inline constexpr int kSeenClassCount = 8;
inline constexpr int kColorCount = 6;
inline constexpr int kRed = 0;
inline constexpr int kBlue = 2;

// "ball", "box" …
const char* ClassName(int class_index);
// "red", "green" …
const char* ColorName(int color_index);

inline constexpr int kNothing = -1;

struct Scene {
  int object = kNothing;  // class
  int color = 0;          // of the object
  int word = kNothing;    // class whose name is written
  // Written instead of that name; "" for its plate without ink.
  std::optional<std::string> instead = {};
  // Written in one of two faces that no training picture shows.
  bool unseen_font = false;
};

// Draws scenes. Not thread-safe: fonts keep state.
class SceneArtist {
 public:
  // Loads the two faces that words are written in, and the two unseen ones;
  // NOT_FOUND, naming the package, when the system lacks DejaVu.
  static absl::StatusOr<SceneArtist> Create();

  // The same scene and seed give the same picture, byte for byte, with the
  // same version of FreeType. Position, tilt, shade, background and the look
  // of the word follow from the seed.
  image::RgbImage Draw(const Scene& scene, uint64_t seed);

 private:
  using Fonts = std::vector<std::unique_ptr<Font>>;

  SceneArtist(Fonts fonts, Fonts unseen_fonts)
      : fonts_(std::move(fonts)), unseen_fonts_(std::move(unseen_fonts)) {}

  Fonts fonts_;
  Fonts unseen_fonts_;
};

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_DEMO_SCENES_H_
