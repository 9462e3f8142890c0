// The demo's datasets: which scenes they show and with which texts.

#ifndef ATTUNE_CLIENT_DEMO_DEMO_EXAMPLES_H_
#define ATTUNE_CLIENT_DEMO_DEMO_EXAMPLES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/dataset_service.pb.h"
#include "client/demo/scenes.h"

namespace attune::client {

// "a photo of a ball".
std::string Prompt(int class_index);
// The prompts of all twelve classes: the candidates of most datasets below.
std::vector<std::string> AllPrompts();
// "a photo of a red ball".
std::string ColorPrompt(int color, int class_index);
// Those of red and of blue for each class in turn, then AllPrompts(): the
// candidates of what colour is trained on.
std::vector<std::string> ColorPrompts();

// Each makes example `index` of an endless series; `seed` picks the series.
// The same arguments give the same example.

// A captioned picture: 40 % an object, 40 % an object with its own word (as on
// the web, where printed words agree with captions), 20 % a word alone.
// `plain`: the caption is Prompt(class); otherwise one of four templates, the
// colour named in 30 % of those with an object.
absl::StatusOr<v1::Example> CaptionExample(SceneArtist& artist, uint64_t seed,
                                           int64_t index, bool plain);

// An attacked picture of a seen class with the word of another seen class.
absl::StatusOr<v1::Example> PairExample(SceneArtist& artist, uint64_t seed,
                                        int64_t index);

// A picture whose answers must stay: objects of all classes, objects with
// their own word, words alone, 2:1:1.
absl::StatusOr<v1::Example> CleanExample(SceneArtist& artist, uint64_t seed,
                                         int64_t index);

// The sets of test pictures; their names are the attribute "set".
enum class TestSet {
  kSeen,        // "seen": classes and words of the pairs
  kUnseen,      // "unseen": the others
  kUnseenFont,  // "unseen-font": as kSeen, the words in other faces
};
std::string TestSetName(TestSet set);

// A labelled picture of a class of the set: with a word of another class of
// the set when `attacked`, without a word otherwise.
absl::StatusOr<v1::Example> TestExample(SceneArtist& artist, uint64_t seed,
                                        int64_t index, TestSet set,
                                        bool attacked);

// A red or blue object of any class; preferred is the prompt of the other one
// of the two colours.
absl::StatusOr<v1::Example> ColorPairExample(SceneArtist& artist, uint64_t seed,
                                             int64_t index);

// An object of any class and colour, whose answers must stay.
absl::StatusOr<v1::Example> ColorCleanExample(SceneArtist& artist,
                                              uint64_t seed, int64_t index);

// An object of any class, red or blue or (`any_color`) of any colour, and what
// it shows.
struct ColorTest {
  std::string image;
  int class_index = 0;
  int color = 0;
};
absl::StatusOr<ColorTest> MakeColorTest(SceneArtist& artist, uint64_t seed,
                                        int64_t index, bool any_color);

// A word alone, of any class, labelled with that class: a model that reads
// gets it right.
absl::StatusOr<v1::Example> WordExample(SceneArtist& artist, uint64_t seed,
                                        int64_t index);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_DEMO_DEMO_EXAMPLES_H_
