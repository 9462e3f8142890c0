#include "server/core/datasets/dataset_digest.h"

#include <algorithm>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/status_macros.h"

namespace attune::core {
namespace {

constexpr int kPageSize = 1'000;

// With its length, so that no two lists of fields give the same bytes.
void AppendField(absl::string_view field, std::string& bytes) {
  absl::StrAppend(&bytes, field.size(), ":", field, ",");
}

void AppendAttributes(const storage::Attributes& attributes,
                      std::string& bytes) {
  absl::StrAppend(&bytes, attributes.size(), ";");
  for (const auto& [key, value] : attributes) {
    AppendField(key, bytes);
    AppendField(value, bytes);
  }
}

// Half the memory of the hexadecimal form.
std::string Raw(absl::string_view hexadecimal) {
  return absl::HexStringToBytes(hexadecimal);
}

}  // namespace

std::string ExampleDigest(const storage::Example& example) {
  std::string bytes =
      absl::StrCat("example ", static_cast<int>(example.kind), ",");
  AppendField(example.text, bytes);
  AppendField(example.other_text, bytes);
  AppendField(example.image_digest, bytes);
  AppendField(example.clean_image_digest, bytes);
  AppendAttributes(example.attributes, bytes);
  AppendAttributes(example.caption_attributes, bytes);
  return Sha256Hex(bytes);
}

absl::StatusOr<std::string> DatasetDigest(
    storage::StateTransaction& transaction, const storage::Dataset& dataset) {
  std::vector<std::string> digests;
  digests.reserve(dataset.counts.total() + dataset.candidates.size());
  int64_t after = 0;
  while (true) {
    ATTUNE_ASSIGN_OR_RETURN(
        const std::vector<storage::Example> page,
        transaction.datasets().ListExamples(dataset.name, after, kPageSize));
    if (page.empty()) break;
    for (const storage::Example& example : page) {
      digests.push_back(Raw(ExampleDigest(example)));
    }
    after = page.back().id;
  }
  for (const std::string& candidate : dataset.candidates) {
    digests.push_back(Raw(Sha256Hex(absl::StrCat("candidate ", candidate))));
  }
  std::sort(digests.begin(), digests.end());
  Sha256 all;
  for (const std::string& digest : digests) all.Update(digest);
  return all.FinishHex();
}

}  // namespace attune::core
