#ifndef ATTUNE_STORAGE_SQLITE_DATASET_STORE_H_
#define ATTUNE_STORAGE_SQLITE_DATASET_STORE_H_

#include <string>
#include <vector>

#include "storage/sqlite/connection.h"
#include "storage/state_store.h"

namespace attune::storage {

// The tables datasets, images and examples in the transaction that runs on
// `connection`.
class SqliteDatasetStore : public DatasetStore {
 public:
  explicit SqliteDatasetStore(Connection& connection)
      : connection_(connection) {}

  absl::Status Insert(const Dataset& dataset) override;
  absl::Status Update(const Dataset& dataset) override;
  absl::StatusOr<Dataset> Get(absl::string_view name) const override;
  absl::StatusOr<std::vector<Dataset>> List(absl::string_view after,
                                            int limit) const override;
  absl::Status AddExamples(absl::string_view dataset,
                           absl::Span<const Example> examples) override;
  absl::StatusOr<std::vector<Example>> ListExamples(absl::string_view dataset,
                                                    int64_t after_id,
                                                    int limit) const override;
  absl::Status DeleteExamples(absl::string_view dataset,
                              absl::Span<const int64_t> ids) override;
  absl::StatusOr<std::vector<std::string>> DistinctTexts(
      absl::string_view dataset, int limit) const override;
  absl::Status Delete(absl::string_view name) override;

 private:
  struct Change;

  absl::StatusOr<int64_t> FindId(absl::string_view name) const;
  // Counts one more use of an image; returns its row.
  absl::StatusOr<int64_t> UseImage(int64_t dataset, const std::string& digest,
                                   int64_t size_bytes, Change& change);
  absl::Status ReleaseImage(int64_t image, Change& change);
  absl::Status InsertExample(int64_t dataset, const Example& example,
                             Change& change);
  absl::Status DeleteExample(int64_t dataset, int64_t id, Change& change);
  absl::Status Apply(int64_t dataset, const Change& change);

  Connection& connection_;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_DATASET_STORE_H_
