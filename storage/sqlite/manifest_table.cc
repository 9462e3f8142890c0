#include "storage/sqlite/manifest_table.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "storage/sqlite/query.h"
#include "storage/sqlite/record_json.h"

namespace attune::storage {
namespace {

TensorEntry ReadTensor(Row& row) {
  TensorEntry tensor;
  tensor.name = row.Text();
  tensor.data_type = row.Enum<DataType>();
  tensor.shape = FromJson<std::vector<int64_t>>(row.Text());
  tensor.blob_digest = row.Text();
  tensor.size_bytes = row.Int64();
  return tensor;
}

}  // namespace

absl::StatusOr<int64_t> InsertManifest(Connection& connection,
                                       const std::optional<std::string>& digest,
                                       const TensorManifest& manifest) {
  ATTUNE_ASSIGN_OR_RETURN(
      const int64_t id,
      SelectOne(connection, absl::InternalError("no manifest row"), ReadInt64,
                "INSERT INTO manifests (digest) VALUES (?) RETURNING id",
                digest));
  for (const TensorEntry& tensor : manifest) {
    const absl::Status status =
        Execute(connection,
                "INSERT INTO tensors (manifest, name, data_type, shape,"
                " blob_digest, size_bytes) VALUES (?, ?, ?, ?, ?, ?)",
                id, tensor.name, tensor.data_type, ToJson(tensor.shape),
                tensor.blob_digest, tensor.size_bytes);
    if (absl::IsAlreadyExists(status)) {
      return Error(absl::StatusCode::kInvalidArgument, "DUPLICATE_TENSOR",
                   absl::StrCat("two tensors are named '", tensor.name, "'"));
    }
    ATTUNE_RETURN_IF_ERROR(status);
  }
  return id;
}

absl::StatusOr<TensorManifest> ReadManifest(Connection& connection,
                                            int64_t manifest) {
  return SelectAll(connection, ReadTensor,
                   "SELECT name, data_type, shape, blob_digest, size_bytes"
                   " FROM tensors WHERE manifest = ? ORDER BY name",
                   manifest);
}

absl::Status DeleteManifest(Connection& connection, int64_t manifest) {
  return Execute(connection, "DELETE FROM manifests WHERE id = ?", manifest);
}

}  // namespace attune::storage
