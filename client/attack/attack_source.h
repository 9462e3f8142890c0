#ifndef ATTUNE_CLIENT_ATTACK_ATTACK_SOURCE_H_
#define ATTUNE_CLIENT_ATTACK_ATTACK_SOURCE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace attune::client {

// A clean picture whose class is known.
struct LabelledPicture {
  // Its path within the source, which its attack is a function of: the same
  // wherever the source lies.
  std::string id;
  std::string path;
  std::string class_name;
  std::map<std::string, std::string> attributes;
};

struct AttackSource {
  // Sorted by id.
  std::vector<LabelledPicture> pictures;
  // Each once, sorted.
  std::vector<std::string> class_names;
  // Files of a class folder that are no pictures by their names.
  int64_t ignored_files = 0;
};

// Reads clean labelled pictures from `path`:
//
//   a folder   with a folder a class, whose name, with spaces for '_', is the
//              class's; pictures are *.jpg, *.jpeg, *.png and *.webp
//   a file     of labelled rows, as ExamplesFile reads them; a class is what
//              the label has in the place of the prompt's "{}", or, when no
//              label is made from the prompt, the label itself
//
// FILE_NOT_FOUND; NO_PICTURES when there are none; INVALID_ARGUMENT, reason
// INVALID_CLASS_NAME, for folders whose names are no texts; reason
// INVALID_EXAMPLES_FILE for rows of another kind, rows that have an attack
// already, and labels of which only some are made from the prompt.
// REQUIRES: `prompt` has one "{}".
absl::StatusOr<AttackSource> ReadAttackSource(const std::string& path,
                                              absl::string_view prompt);

// The prompt with the name in the place of "{}".
std::string FillPrompt(absl::string_view prompt, absl::string_view name);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_ATTACK_ATTACK_SOURCE_H_
