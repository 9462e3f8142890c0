#include "client/demo/demo_examples.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/drawing/random.h"
#include "common/image/encode.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

constexpr std::array<const char*, 4> kTemplates = {
    "a photo of a {}", "a picture of a {}", "a drawing of a {}",
    "an image of a {}"};

struct Range {
  int begin;
  int count;
};

constexpr Range kSeenClasses = {0, kSeenClassCount};
constexpr Range kUnseenClasses = {kSeenClassCount,
                                  kClassCount - kSeenClassCount};

int AnyOf(Range range, Random& random) {
  return range.begin + random.Index(range.count);
}

int AnyOtherThan(int class_index, Range range, Random& random) {
  const int step = 1 + random.Index(range.count - 1);
  return range.begin + (class_index - range.begin + step) % range.count;
}

// Draws the scene into a new example, with what it shows as attributes.
absl::StatusOr<v1::Example> MakeExample(SceneArtist& artist, const Scene& scene,
                                        Random& random) {
  v1::Example example;
  ATTUNE_ASSIGN_OR_RETURN(*example.mutable_image(),
                          image::EncodePng(artist.Draw(scene, random.Bits())));
  const int shown = scene.object != kNothing ? scene.object : scene.word;
  auto& attributes = *example.mutable_attributes();
  attributes["class"] = ClassName(shown);
  if (scene.object != kNothing) {
    attributes["color"] = ColorName(scene.color);
  }
  return example;
}

}  // namespace

std::string Prompt(int class_index) {
  return absl::StrCat("a photo of a ", ClassName(class_index));
}

std::vector<std::string> AllPrompts() {
  std::vector<std::string> prompts;
  for (int i = 0; i < kClassCount; ++i) prompts.push_back(Prompt(i));
  return prompts;
}

std::string ColorPrompt(int color, int class_index) {
  return absl::StrCat("a photo of a ", ColorName(color), " ",
                      ClassName(class_index));
}

std::vector<std::string> ColorPrompts() {
  std::vector<std::string> prompts;
  for (int i = 0; i < kClassCount; ++i) {
    prompts.push_back(ColorPrompt(kRed, i));
    prompts.push_back(ColorPrompt(kBlue, i));
  }
  for (int i = 0; i < kClassCount; ++i) prompts.push_back(Prompt(i));
  return prompts;
}

absl::StatusOr<v1::Example> CaptionExample(SceneArtist& artist, uint64_t seed,
                                           int64_t index, bool plain) {
  Random random(MixSeed(seed, index));
  Scene scene;
  const int shown = random.Index(kClassCount);
  const double part = random.Uniform(0, 1);
  if (part < 0.8) scene.object = shown;
  if (part >= 0.4) scene.word = shown;
  scene.color = random.Index(kColorCount);
  ATTUNE_ASSIGN_OR_RETURN(v1::Example example,
                          MakeExample(artist, scene, random));

  v1::Example::Caption& caption = *example.mutable_caption();
  auto& said = *caption.mutable_caption_attributes();
  said["class"] = ClassName(shown);
  if (plain) {
    caption.set_caption(Prompt(shown));
    return example;
  }
  std::string name = ClassName(shown);
  if (scene.object != kNothing && random.Uniform(0, 1) < 0.3) {
    name = absl::StrCat(ColorName(scene.color), " ", name);
    said["color"] = ColorName(scene.color);
  }
  caption.set_caption(absl::StrReplaceAll(
      kTemplates[random.Index(kTemplates.size())], {{"{}", name}}));
  return example;
}

absl::StatusOr<v1::Example> PairExample(SceneArtist& artist, uint64_t seed,
                                        int64_t index) {
  Random random(MixSeed(seed, index));
  Scene scene;
  scene.object = AnyOf(kSeenClasses, random);
  scene.word = AnyOtherThan(scene.object, kSeenClasses, random);
  scene.color = random.Index(kColorCount);
  ATTUNE_ASSIGN_OR_RETURN(v1::Example example,
                          MakeExample(artist, scene, random));
  example.mutable_pair()->set_preferred(Prompt(scene.object));
  example.mutable_pair()->set_rejected(Prompt(scene.word));
  return example;
}

absl::StatusOr<v1::Example> CleanExample(SceneArtist& artist, uint64_t seed,
                                         int64_t index) {
  Random random(MixSeed(seed, index));
  Scene scene;
  const int shown = random.Index(kClassCount);
  const int part = random.Index(4);
  if (part < 3) scene.object = shown;
  if (part >= 2) scene.word = shown;
  scene.color = random.Index(kColorCount);
  ATTUNE_ASSIGN_OR_RETURN(v1::Example example,
                          MakeExample(artist, scene, random));
  example.mutable_clean();
  return example;
}

std::string TestSetName(TestSet set) {
  switch (set) {
    case TestSet::kSeen:
      return "seen";
    case TestSet::kUnseen:
      return "unseen";
    case TestSet::kUnseenFont:
      return "unseen-font";
  }
  return "";
}

absl::StatusOr<v1::Example> TestExample(SceneArtist& artist, uint64_t seed,
                                        int64_t index, TestSet set,
                                        bool attacked) {
  Random random(MixSeed(seed, index));
  const Range range = set == TestSet::kUnseen ? kUnseenClasses : kSeenClasses;
  Scene scene;
  scene.unseen_font = set == TestSet::kUnseenFont;
  scene.object = AnyOf(range, random);
  scene.color = random.Index(kColorCount);
  if (attacked) scene.word = AnyOtherThan(scene.object, range, random);
  ATTUNE_ASSIGN_OR_RETURN(v1::Example example,
                          MakeExample(artist, scene, random));
  (*example.mutable_attributes())["set"] = TestSetName(set);
  example.mutable_labelled()->set_label(Prompt(scene.object));
  if (attacked) example.mutable_labelled()->set_attack(Prompt(scene.word));
  return example;
}

absl::StatusOr<v1::Example> ColorPairExample(SceneArtist& artist, uint64_t seed,
                                             int64_t index) {
  Random random(MixSeed(seed, index));
  Scene scene;
  scene.object = random.Index(kClassCount);
  scene.color = random.Index(2) == 0 ? kRed : kBlue;
  ATTUNE_ASSIGN_OR_RETURN(v1::Example example,
                          MakeExample(artist, scene, random));
  const int other = scene.color == kRed ? kBlue : kRed;
  example.mutable_pair()->set_preferred(ColorPrompt(other, scene.object));
  example.mutable_pair()->set_rejected(ColorPrompt(scene.color, scene.object));
  return example;
}

absl::StatusOr<v1::Example> ColorCleanExample(SceneArtist& artist,
                                              uint64_t seed, int64_t index) {
  Random random(MixSeed(seed, index));
  Scene scene;
  scene.object = random.Index(kClassCount);
  scene.color = random.Index(kColorCount);
  ATTUNE_ASSIGN_OR_RETURN(v1::Example example,
                          MakeExample(artist, scene, random));
  example.mutable_clean();
  return example;
}

absl::StatusOr<ColorTest> MakeColorTest(SceneArtist& artist, uint64_t seed,
                                        int64_t index, bool any_color) {
  Random random(MixSeed(seed, index));
  Scene scene;
  scene.object = random.Index(kClassCount);
  scene.color = any_color              ? random.Index(kColorCount)
                : random.Index(2) == 0 ? kRed
                                       : kBlue;
  ColorTest test = {
      .image = "", .class_index = scene.object, .color = scene.color};
  ATTUNE_ASSIGN_OR_RETURN(test.image,
                          image::EncodePng(artist.Draw(scene, random.Bits())));
  return test;
}

absl::StatusOr<v1::Example> WordExample(SceneArtist& artist, uint64_t seed,
                                        int64_t index) {
  Random random(MixSeed(seed, index));
  Scene scene;
  scene.word = random.Index(kClassCount);
  ATTUNE_ASSIGN_OR_RETURN(v1::Example example,
                          MakeExample(artist, scene, random));
  example.mutable_labelled()->set_label(Prompt(scene.word));
  return example;
}

}  // namespace attune::client
