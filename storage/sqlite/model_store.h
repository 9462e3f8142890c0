#ifndef ATTUNE_STORAGE_SQLITE_MODEL_STORE_H_
#define ATTUNE_STORAGE_SQLITE_MODEL_STORE_H_

#include <vector>

#include "storage/sqlite/connection.h"
#include "storage/state_store.h"

namespace attune::storage {

// The tables models, versions, aliases, embeddings, manifests and tensors in
// the transaction that runs on `connection`.
class SqliteModelStore : public ModelStore {
 public:
  explicit SqliteModelStore(Connection& connection) : connection_(connection) {}

  absl::Status Insert(const Model& model) override;
  absl::StatusOr<Model> Get(absl::string_view name) const override;
  absl::StatusOr<std::vector<Model>> List(absl::string_view after,
                                          int limit) const override;
  absl::StatusOr<int32_t> AddVersion(const Version& version,
                                     const TensorManifest& manifest) override;
  absl::StatusOr<Version> GetVersion(absl::string_view model,
                                     int32_t number) const override;
  absl::StatusOr<std::vector<Version>> ListVersions(absl::string_view model,
                                                    int32_t before,
                                                    int limit) const override;
  absl::StatusOr<TensorManifest> GetManifest(
      absl::string_view manifest_digest) const override;
  absl::Status AddEmbeddings(absl::string_view manifest_digest,
                             absl::string_view dataset,
                             const StoredEmbeddings& embeddings) override;
  absl::StatusOr<std::vector<StoredEmbeddings>> ListEmbeddings(
      absl::string_view manifest_digest, absl::string_view dataset,
      int limit) const override;
  absl::Status SetAlias(absl::string_view model, absl::string_view alias,
                        int32_t number) override;
  absl::Status Delete(absl::string_view name) override;

 private:
  absl::StatusOr<int64_t> FindId(absl::string_view name) const;
  absl::StatusOr<int64_t> FindManifest(absl::string_view digest) const;
  absl::StatusOr<int64_t> FindDataset(absl::string_view name) const;
  absl::StatusOr<int64_t> FindOrInsertManifest(const Version& version,
                                               const TensorManifest& manifest);
  absl::Status ReadAliases(std::vector<Model>& models) const;

  Connection& connection_;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_MODEL_STORE_H_
