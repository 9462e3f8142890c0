#ifndef ATTUNE_CLIENT_COMMANDS_TABLE_H_
#define ATTUNE_CLIENT_COMMANDS_TABLE_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/timestamp.pb.h"

namespace attune::client {

// Rows of text with aligned columns. Columns whose cells are all numbers are
// aligned to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> header);

  // REQUIRES: as many cells as the header has.
  void AddRow(std::vector<std::string> cells);

  // Prints the header and the rows.
  void Print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "Name:  value" lines, aligned; a line whose value is empty is left out.
void PrintFields(const std::vector<std::pair<std::string, std::string>>& fields,
                 std::ostream& out);

// 1234567 as "1,234,567".
std::string FormatCount(int64_t count);
// 1500000 as "1.4 MiB".
std::string FormatBytes(int64_t bytes);
// Local date and time; "" for a time that is not set.
std::string FormatTime(const google::protobuf::Timestamp& time);
// The time with a known zone, for programs: RFC 3339 in UTC.
std::string FormatTimeUtc(const google::protobuf::Timestamp& time);
// The shortest text that reads back as the same number, for programs.
std::string ExactNumber(double value);
// A cell of a CSV file (RFC 4180): in quotes where the text needs them.
std::string CsvText(absl::string_view text);
// Four significant digits, or all digits before the point.
std::string FormatNumber(double value);
// An enum value's name without what all names of the enum begin with:
// ("JOB_STATE_", "JOB_STATE_QUEUED") gives "QUEUED".
std::string WithoutPrefix(absl::string_view prefix, absl::string_view name);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_TABLE_H_
