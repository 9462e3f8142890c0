#ifndef ATTUNE_WORKER_TASK_EXAMPLE_SET_H_
#define ATTUNE_WORKER_TASK_EXAMPLE_SET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "attune/v1/dataset_service.pb.h"
#include "worker/transport/server_connection.h"

namespace attune::task {

// Distinct strings, numbered in the order in which they came.
class StringTable {
 public:
  // The number of `value`, which is added when it is new.
  int64_t Add(absl::string_view value);
  // The number, or −1.
  int64_t Find(absl::string_view value) const;
  const std::vector<std::string>& values() const { return values_; }

 private:
  absl::flat_hash_map<std::string, int64_t> numbers_;
  std::vector<std::string> values_;
};

// A dataset's examples and the distinct pictures that they show.
struct ExampleSet {
  std::vector<v1::Example> examples;
  // Digests of the pictures, in the order of their first use.
  StringTable images;
  // For each picture the id of the first example that shows it.
  std::vector<int64_t> image_example;

  // Numbers of an example's picture and of its clean twin; −1 for none.
  int64_t ImageOf(const v1::Example& example) const {
    return images.Find(example.image_digest());
  }
  int64_t CleanImageOf(const v1::Example& example) const;

  explicit ExampleSet(std::vector<v1::Example> examples);
};

// All examples of a dataset; errors of ListAllExamples.
absl::StatusOr<ExampleSet> ReadExampleSet(
    transport::ServerConnection& connection, const std::string& dataset);

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_EXAMPLE_SET_H_
