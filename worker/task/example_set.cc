#include "worker/task/example_set.h"

#include <utility>

#include "common/status_macros.h"

namespace attune::task {

int64_t StringTable::Add(absl::string_view value) {
  const auto [entry, is_new] =
      numbers_.try_emplace(value, static_cast<int64_t>(values_.size()));
  if (is_new) values_.emplace_back(value);
  return entry->second;
}

int64_t StringTable::Find(absl::string_view value) const {
  const auto found = numbers_.find(value);
  return found == numbers_.end() ? -1 : found->second;
}

ExampleSet::ExampleSet(std::vector<v1::Example> all)
    : examples(std::move(all)) {
  const auto add = [this](const std::string& digest, int64_t example) {
    if (images.Add(digest) == static_cast<int64_t>(image_example.size())) {
      image_example.push_back(example);
    }
  };
  for (const v1::Example& example : examples) {
    add(example.image_digest(), example.id());
    if (!example.pair().clean_image_digest().empty()) {
      add(example.pair().clean_image_digest(), example.id());
    }
  }
}

int64_t ExampleSet::CleanImageOf(const v1::Example& example) const {
  const std::string& digest = example.pair().clean_image_digest();
  return digest.empty() ? -1 : images.Find(digest);
}

absl::StatusOr<ExampleSet> ReadExampleSet(
    transport::ServerConnection& connection, const std::string& dataset) {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<v1::Example> examples,
                          transport::ListAllExamples(connection, dataset));
  return ExampleSet(std::move(examples));
}

}  // namespace attune::task
