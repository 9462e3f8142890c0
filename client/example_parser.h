#ifndef ATTUNE_CLIENT_EXAMPLE_PARSER_H_
#define ATTUNE_CLIENT_EXAMPLE_PARSER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "attune/v1/dataset_service.pb.h"

namespace attune::client {

// One line of an examples file.
struct ParsedExample {
  // Without the pictures.
  v1::Example example;
  // As written; `clean_image` is empty when there is none.
  std::string image;
  std::string clean_image;
};

// Parses one line by the rules of examples_file.h. INVALID_ARGUMENT, with a
// message that names the key: not a JSON object, an unknown key, a key of
// another kind, a missing key, a value of the wrong type, a text that
// common/names.h refuses, or equal sides of a pair.
absl::StatusOr<ParsedExample> ParseExample(absl::string_view line);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_EXAMPLE_PARSER_H_
