#ifndef ATTUNE_CLIENT_EXAMPLES_FILE_H_
#define ATTUNE_CLIENT_EXAMPLES_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "attune/v1/dataset_service.pb.h"

namespace attune::client {

// Examples written down for an upload: JSON Lines, one object a line, the kind
// of an example inferred from its keys. Blank lines are skipped.
//
//   every kind  "image": path, relative to the file; "attributes": {text: text}
//   pair        "preferred", "rejected"; optionally "clean_image": path
//   labelled    "label"; optionally "attack"
//   caption     "caption"; optionally "caption_attributes": {text: text}
//   clean       none of these
class ExamplesFile {
 public:
  // Reads the file and checks every line of it, the pictures' presence and
  // size included. NOT_FOUND (FILE_NOT_FOUND) when it cannot be read;
  // INVALID_ARGUMENT (INVALID_EXAMPLES_FILE) with the first 100 bad lines as
  // fields FILE:LINE.
  static absl::StatusOr<ExamplesFile> Open(const std::string& path);

  int64_t size() const { return static_cast<int64_t>(rows_.size()); }
  // Bytes of all pictures.
  int64_t image_bytes() const { return image_bytes_; }

  // The example with this index, its pictures read from their files.
  // NOT_FOUND (FILE_NOT_FOUND), naming FILE:LINE, when a picture has gone.
  // REQUIRES: 0 <= index < size().
  absl::StatusOr<v1::Example> Read(int64_t index) const;

  // The example without its pictures, the path of its picture, and FILE:LINE
  // of where it stands. REQUIRES: as Read.
  const v1::Example& example(int64_t index) const;
  const std::string& image_path(int64_t index) const;
  std::string Place(int64_t index) const;

 private:
  struct Row {
    // Without the pictures.
    v1::Example example;
    std::string image_path;
    // Of a pair; empty when it has none.
    std::string clean_image_path;
    int64_t line = 0;
  };

  std::string path_;
  std::vector<Row> rows_;
  int64_t image_bytes_ = 0;
};

// The whole file. NOT_FOUND (FILE_NOT_FOUND).
absl::StatusOr<std::string> ReadFile(const std::string& path);

// The lines of a text file that are not blank, without the space around them.
// NOT_FOUND (FILE_NOT_FOUND).
absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_EXAMPLES_FILE_H_
