// The columns that hold JSON. The writers and readers throw nlohmann's
// exceptions, which query.h makes a Status.

#ifndef ATTUNE_STORAGE_SQLITE_RECORD_JSON_H_
#define ATTUNE_STORAGE_SQLITE_RECORD_JSON_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "storage/job_spec.h"
#include "storage/records.h"
#include "storage/upload_store.h"

namespace attune::storage {

// Text of JSON: field names are those of the structs, enums are numbers, a
// variant is an object with the name of its alternative ("train", "dpo" …).
std::string ToJson(const JobSpec& spec);
std::string ToJson(const ClipConfig& config);
std::string ToJson(const std::vector<std::string>& texts);
std::string ToJson(const std::vector<int64_t>& numbers);
std::string ToJson(const std::vector<Figure>& figures);
std::string ToJson(const std::vector<FigureComparison>& comparisons);
std::string ToJson(const std::vector<InvalidExample>& examples);
// Without its end_offset, which has a column.
std::string ToJson(const UploadPart& part);
// "" when there are none.
std::string ToJson(const Attributes& attributes);

// The value that ToJson wrote; a field that an older build did not write has
// its default.
template <typename T>
T FromJson(absl::string_view text);

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_RECORD_JSON_H_
