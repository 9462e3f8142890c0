#ifndef ATTUNE_CLIENT_ATTACK_ATTACK_DATASET_H_
#define ATTUNE_CLIENT_ATTACK_ATTACK_DATASET_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace attune::client {

struct AttackOptions {
  // A folder with a folder a class, or a file of labelled rows.
  std::string source;
  // The folder that is made.
  std::string output;
  // With one "{}" for a class.
  std::string prompt = "a photo of a {}.";
  // A file of words, one a line; empty: the names of the classes.
  std::string words;
  // Paths or fontconfig's names; empty: all that the system has.
  std::vector<std::string> fonts;
  uint64_t seed = 0;
  // Of the pictures that are written, in pixels.
  int side = 224;
  // Rows for an evaluation (clean and attacked, labelled) instead of pairs.
  bool labelled = false;
  // A PNG file of some of the pictures; empty: none.
  std::string preview;
};

struct AttackSummary {
  int64_t picture_count = 0;
  int64_t class_count = 0;
  int64_t word_count = 0;
  int64_t font_count = 0;
  // Files of the source that are no pictures.
  int64_t ignored_file_count = 0;
};

// Writes a word on every picture of the source and makes the folder `output`:
//
//   examples.jsonl   for `attune dataset upload`: pairs with their clean
//                    pictures, or labelled rows
//   candidates.txt   the prompts of all classes and words, for `attune dataset
//                    create --candidates`
//   attacks.jsonl    what was written on each picture: word, font, size,
//                    colours, box
//   images/          the clean and the attacked pictures, square, as JPEG of
//                    quality 100
//
// A picture's attack is a function of the seed, its id, the words and the
// fonts. The folder appears whole or not at all.
//
// ALREADY_EXISTS, reason OUTPUT_EXISTS, when `output` is there and not empty;
// INVALID_ARGUMENT, reason TOO_FEW_WORDS, when a class has no word of another;
// reason INVALID_PICTURES, with the first 100 files, for pictures that cannot
// be read; what ReadAttackSource, LoadFonts and AttackPainter refuse; FILE_
// NOT_WRITTEN. `progress` is told pictures done and in all.
absl::StatusOr<AttackSummary> MakeAttackDataset(
    const AttackOptions& options,
    const std::function<void(int64_t done, int64_t total)>& progress);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_ATTACK_ATTACK_DATASET_H_
