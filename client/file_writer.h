#ifndef ATTUNE_CLIENT_FILE_WRITER_H_
#define ATTUNE_CLIENT_FILE_WRITER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace attune::client {

// Writes a file whole or not at all: into a new file beside `path` that takes
// the name at Commit and is removed otherwise. Errors name the file and the
// operating system's reason (FILE_NOT_WRITTEN). Not thread-safe.
class FileWriter {
 public:
  explicit FileWriter(std::string path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  absl::Status Write(absl::string_view bytes);

  // Makes the bytes durable and gives them the name. Call once, last.
  absl::Status Commit();

 private:
  // The error that errno describes.
  absl::Status Failed(absl::string_view action) const;
  void CloseFile();

  std::string path_;
  std::string temporary_path_;
  int file_ = -1;
  // Of opening the file, returned by the first Write or Commit.
  absl::Status open_status_;
};

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_FILE_WRITER_H_
