// Draws the demo's pictures into a folder, as `attune dataset upload` takes
// them: draw_scenes KIND COUNT SEED FOLDER writes examples.jsonl,
// candidates.txt and the pictures. The same arguments give the same files.

#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/demo/demo_examples.h"
#include "client/demo/scenes.h"
#include "client/drawing/random.h"
#include "common/image/encode.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

using nlohmann::ordered_json;
using MakeExample = std::function<absl::StatusOr<v1::Example>(
    SceneArtist&, uint64_t seed, int64_t index)>;

// Words that name no class, about as long as those that do.
constexpr const char* kOtherWords[] = {"lamp", "spoon", "river", "cake",
                                       "sofa", "glove", "bird",  "door"};

// A labelled object of a seen class behind a plate: a control, without attack.
absl::StatusOr<v1::Example> ControlExample(SceneArtist& artist, uint64_t seed,
                                           int64_t index, bool blank) {
  Random random(MixSeed(seed, index));
  Scene scene;
  scene.object = random.Index(kSeenClassCount);
  scene.color = random.Index(kColorCount);
  // The plate's size is that of another seen class's word.
  scene.word =
      (scene.object + 1 + random.Index(kSeenClassCount - 1)) % kSeenClassCount;
  scene.instead =
      blank ? "" : kOtherWords[random.Index(std::size(kOtherWords))];
  v1::Example example;
  ATTUNE_ASSIGN_OR_RETURN(*example.mutable_image(),
                          image::EncodePng(artist.Draw(scene, random.Bits())));
  example.mutable_labelled()->set_label(Prompt(scene.object));
  return example;
}

// The clean stream of seen classes alone: what CleanExample draws of them.
absl::StatusOr<v1::Example> SeenCleanExample(SceneArtist& artist, uint64_t seed,
                                             int64_t index) {
  for (uint64_t attempt = 0;; ++attempt) {
    ATTUNE_ASSIGN_OR_RETURN(
        v1::Example example,
        CleanExample(artist, MixSeed(seed, attempt), index));
    for (int i = 0; i < kSeenClassCount; ++i) {
      if (example.attributes().at("class") == ClassName(i)) return example;
    }
  }
}

// A red or blue object, labelled with its shape alone (`of_any`: any colour).
absl::StatusOr<v1::Example> ShapeExample(SceneArtist& artist, uint64_t seed,
                                         int64_t index) {
  ATTUNE_ASSIGN_OR_RETURN(
      const ColorTest test,
      MakeColorTest(artist, seed, index, /*any_color=*/true));
  v1::Example example;
  example.set_image(test.image);
  example.mutable_labelled()->set_label(Prompt(test.class_index));
  return example;
}

// A red or blue object: preferred is its own colour, so that pair_accuracy is
// the share told apart.
absl::StatusOr<v1::Example> ColorExample(SceneArtist& artist, uint64_t seed,
                                         int64_t index) {
  ATTUNE_ASSIGN_OR_RETURN(
      const ColorTest test,
      MakeColorTest(artist, seed, index, /*any_color=*/false));
  v1::Example example;
  example.set_image(test.image);
  const int other = test.color == kRed ? kBlue : kRed;
  example.mutable_pair()->set_preferred(
      ColorPrompt(test.color, test.class_index));
  example.mutable_pair()->set_rejected(ColorPrompt(other, test.class_index));
  return example;
}

const std::map<std::string, MakeExample>& Kinds() {
  const auto caption = [](bool plain) {
    return [plain](SceneArtist& artist, uint64_t seed, int64_t index) {
      return CaptionExample(artist, seed, index, plain);
    };
  };
  const auto test = [](TestSet set, bool attacked) {
    return [set, attacked](SceneArtist& artist, uint64_t seed, int64_t index) {
      return TestExample(artist, seed, index, set, attacked);
    };
  };
  const auto control = [](bool blank) {
    return [blank](SceneArtist& artist, uint64_t seed, int64_t index) {
      return ControlExample(artist, seed, index, blank);
    };
  };
  static const auto& kinds = *new std::map<std::string, MakeExample>{
      {"plain-captions", caption(true)},
      {"captions", caption(false)},
      {"pairs", PairExample},
      {"clean", CleanExample},
      {"clean-seen", SeenCleanExample},
      {"seen", test(TestSet::kSeen, false)},
      {"seen-attacked", test(TestSet::kSeen, true)},
      {"unseen", test(TestSet::kUnseen, false)},
      {"unseen-attacked", test(TestSet::kUnseen, true)},
      {"unseen-font", test(TestSet::kUnseenFont, true)},
      {"words", WordExample},
      {"blank-plate", control(true)},
      {"other-word", control(false)},
      {"colour-pairs", ColorPairExample},
      {"colour-clean", ColorCleanExample},
      {"colours", ColorExample},
      {"shapes", ShapeExample},
  };
  return kinds;
}

ordered_json ToJson(const v1::Example& example, const std::string& image) {
  ordered_json row = {{"image", image}};
  const auto add = [&](const char* name, const auto& map) {
    if (map.empty()) return;
    row[name] = std::map<std::string, std::string>(map.begin(), map.end());
  };
  switch (example.kind_case()) {
    case v1::Example::kPair:
      row["preferred"] = example.pair().preferred();
      row["rejected"] = example.pair().rejected();
      break;
    case v1::Example::kLabelled:
      row["label"] = example.labelled().label();
      if (!example.labelled().attack().empty()) {
        row["attack"] = example.labelled().attack();
      }
      break;
    case v1::Example::kCaption:
      row["caption"] = example.caption().caption();
      add("attributes", example.attributes());
      add("caption_attributes", example.caption().caption_attributes());
      break;
    default:
      break;
  }
  return row;
}

absl::Status Draw(const std::string& kind, int64_t count, uint64_t seed,
                  const std::string& folder) {
  ATTUNE_ASSIGN_OR_RETURN(SceneArtist artist, SceneArtist::Create());
  mkdir(folder.c_str(), 0755);
  std::ofstream rows(folder + "/examples.jsonl");
  for (int64_t i = 0; i < count; ++i) {
    ATTUNE_ASSIGN_OR_RETURN(const v1::Example example,
                            Kinds().at(kind)(artist, seed, i));
    const std::string name = absl::StrCat(i, ".png");
    std::ofstream(folder + "/" + name, std::ios::binary) << example.image();
    rows << ToJson(example, name).dump() << '\n';
  }
  const bool colours = kind == "colour-pairs" || kind == "colours";
  std::ofstream candidates(folder + "/candidates.txt");
  for (const std::string& text : colours ? ColorPrompts() : AllPrompts()) {
    candidates << text << '\n';
  }
  if (!rows.flush() || !candidates.flush()) {
    return absl::InternalError("could not write into " + folder);
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  CLI::App app("Draws the demo's pictures into a folder");
  std::vector<std::string> names;
  for (const auto& [name, make] : Kinds()) names.push_back(name);
  std::string kind, folder;
  int64_t count = 0;
  uint64_t seed = 0;
  app.add_option("kind", kind)->required()->check(CLI::IsMember(names));
  app.add_option("count", count)->required();
  app.add_option("seed", seed)->required();
  app.add_option("folder", folder)->required();
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = Draw(kind, count, seed, folder);
  if (status.ok()) return 0;
  std::cerr << status << '\n';
  return 1;
}

}  // namespace
}  // namespace attune::client

int main(int argc, char** argv) { return attune::client::Main(argc, argv); }
