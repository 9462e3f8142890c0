#include "worker/convert/zip_directory.h"

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/error.h"
#include "common/status_macros.h"

// Names and numbers are those of PKWARE's APPNOTE.TXT, section 4.3.

namespace attune::convert {
namespace {

constexpr size_t kEndSize = 22;
constexpr uint64_t kEndSignature = 0x06054b50;
constexpr size_t kEnd64LocatorSize = 20;
constexpr uint64_t kEnd64LocatorSignature = 0x07064b50;
constexpr size_t kEnd64Size = 56;
constexpr uint64_t kEnd64Signature = 0x06064b50;
constexpr size_t kEntrySize = 46;
constexpr uint64_t kEntrySignature = 0x02014b50;

absl::Status NotWhole() {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_ARCHIVE",
               "it is no whole PyTorch archive: its end is not that of one");
}

using Bytes = std::vector<char>;

// Little-endian.
uint64_t Number(const Bytes& bytes, size_t at, size_t size) {
  uint64_t number = 0;
  for (size_t i = size; i-- > 0;) {
    number = number << 8 | static_cast<uint8_t>(bytes[at + i]);
  }
  return number;
}

// What follows the first '/' in an entry's name: LibTorch's archives hold one
// folder.
absl::string_view RecordName(absl::string_view entry) {
  const size_t slash = entry.find('/');
  return slash == absl::string_view::npos ? entry : entry.substr(slash + 1);
}

class Directory {
 public:
  explicit Directory(const std::string& path) : file_(path, std::ios::binary) {
    file_.seekg(0, std::ios::end);
    const auto end = file_.tellg();
    if (file_) size_ = static_cast<uint64_t>(end);
  }

  absl::Status Check() {
    ATTUNE_RETURN_IF_ERROR(FindEntries());
    for (; count_ > 0; --count_) ATTUNE_RETURN_IF_ERROR(CheckEntry());
    return begin_ == end_ ? absl::OkStatus() : NotWhole();
  }

 private:
  absl::StatusOr<Bytes> Read(uint64_t at, size_t size) {
    if (at > size_ || size > size_ - at) return NotWhole();
    Bytes bytes(size);
    file_.seekg(static_cast<std::streamoff>(at));
    file_.read(bytes.data(), static_cast<std::streamsize>(size));
    return file_ ? absl::StatusOr<Bytes>(std::move(bytes)) : NotWhole();
  }

  // The directory is just before the record that names it.
  absl::Status FindEntries() {
    if (size_ < kEndSize) return NotWhole();
    const uint64_t end_at = size_ - kEndSize;
    ATTUNE_ASSIGN_OR_RETURN(const Bytes end, Read(end_at, kEndSize));
    // A comment would follow it.
    if (Number(end, 0, 4) != kEndSignature || Number(end, 20, 2) != 0) {
      return NotWhole();
    }
    count_ = Number(end, 10, 2);
    end_ = end_at;
    uint64_t directory_size = Number(end, 12, 4);
    begin_ = Number(end, 16, 4);
    if (end_at >= kEnd64LocatorSize + kEnd64Size) {
      ATTUNE_ASSIGN_OR_RETURN(
          const Bytes locator,
          Read(end_at - kEnd64LocatorSize, kEnd64LocatorSize));
      if (Number(locator, 0, 4) == kEnd64LocatorSignature) {
        end_ = end_at - kEnd64LocatorSize - kEnd64Size;
        ATTUNE_ASSIGN_OR_RETURN(const Bytes end64, Read(end_, kEnd64Size));
        if (Number(locator, 8, 8) != end_ ||
            Number(end64, 0, 4) != kEnd64Signature) {
          return NotWhole();
        }
        count_ = Number(end64, 32, 8);
        directory_size = Number(end64, 40, 8);
        begin_ = Number(end64, 48, 8);
      }
    }
    return begin_ <= end_ && directory_size == end_ - begin_ ? absl::OkStatus()
                                                             : NotWhole();
  }

  // The entry at begin_, which moves on to the next.
  absl::Status CheckEntry() {
    if (end_ - begin_ < kEntrySize) return NotWhole();
    ATTUNE_ASSIGN_OR_RETURN(const Bytes entry, Read(begin_, kEntrySize));
    if (Number(entry, 0, 4) != kEntrySignature) return NotWhole();
    const uint64_t name_size = Number(entry, 28, 2);
    const uint64_t size =
        kEntrySize + name_size + Number(entry, 30, 2) + Number(entry, 32, 2);
    if (end_ - begin_ < size) return NotWhole();
    const uint64_t method = Number(entry, 10, 2);
    if (method != 0) {
      ATTUNE_ASSIGN_OR_RETURN(const Bytes name,
                              Read(begin_ + kEntrySize, name_size));
      const absl::string_view record = RecordName({name.data(), name.size()});
      if (!absl::StartsWith(record, "code/")) {
        return Error(
            absl::StatusCode::kInvalidArgument, "INVALID_ARCHIVE",
            absl::StrCat("the archive's record '",
                         absl::CHexEscape(record.substr(0, 100)),
                         "' is compressed; torch.save stores them as they "
                         "are"));
      }
    }
    begin_ += size;
    return absl::OkStatus();
  }

  std::ifstream file_;
  uint64_t size_ = 0;
  // Entries that are left, and where they are.
  uint64_t count_ = 0;
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
};

}  // namespace

absl::Status CheckEntriesAreStored(const std::string& path) {
  return Directory(path).Check();
}

}  // namespace attune::convert
