#include "storage/sqlite/model_store.h"

#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "storage/sqlite/manifest_table.h"
#include "storage/sqlite/query.h"
#include "storage/sqlite/record_json.h"

namespace attune::storage {
namespace {

constexpr absl::string_view kSelectModel =
    "SELECT name, create_time,"
    " (SELECT COUNT(*) FROM versions v WHERE v.model = m.id) FROM models m";

Model ReadModel(Row& row) {
  Model model;
  model.name = row.Text();
  model.create_time = row.Time();
  model.version_count = row.Int32();
  return model;
}

constexpr absl::string_view kSelectVersion =
    "SELECT m.name, v.number, v.source, v.create_time, v.config, v.job_id,"
    " v.base, v.dataset, v.dataset_digest, f.digest, v.tensor_count,"
    " v.parameter_count, v.size_bytes, v.own_size_bytes, v.broken_bounds"
    " FROM versions v"
    " JOIN models m ON m.id = v.model JOIN manifests f ON f.id = v.manifest";

Version ReadVersion(Row& row) {
  Version version;
  version.model = row.Text();
  version.number = row.Int32();
  version.source = row.Enum<VersionSource>();
  version.create_time = row.Time();
  version.config = FromJson<ClipConfig>(row.Text());
  version.job_id = row.Text();
  version.base = row.Text();
  version.dataset = row.Text();
  version.dataset_digest = row.Text();
  version.digest = row.Text();
  version.tensor_count = row.Int64();
  version.parameter_count = row.Int64();
  version.size_bytes = row.Int64();
  version.own_size_bytes = row.Int64();
  if (const std::optional<std::string> broken = row.OptionalText()) {
    version.broken_bounds = FromJson<std::vector<std::string>>(*broken);
  }
  return version;
}

absl::Status VersionNotFound(absl::string_view model, int32_t number) {
  return NotFound("version", absl::StrCat(model, ":", number));
}

}  // namespace

absl::Status SqliteModelStore::Insert(const Model& model) {
  absl::Status status = Execute(
      connection_, "INSERT INTO models (name, create_time) VALUES (?, ?)",
      model.name, model.create_time);
  return AlreadyExistsAs(std::move(status), "model", model.name);
}

absl::StatusOr<Model> SqliteModelStore::Get(absl::string_view name) const {
  ATTUNE_ASSIGN_OR_RETURN(
      std::vector<Model> models,
      SelectAll(connection_, ReadModel,
                absl::StrCat(kSelectModel, " WHERE name = ?"), name));
  if (models.empty()) return NotFound("model", name);
  ATTUNE_RETURN_IF_ERROR(ReadAliases(models));
  return std::move(models.front());
}

absl::StatusOr<std::vector<Model>> SqliteModelStore::List(
    absl::string_view after, int limit) const {
  ATTUNE_ASSIGN_OR_RETURN(
      std::vector<Model> models,
      SelectAll(
          connection_, ReadModel,
          absl::StrCat(kSelectModel, " WHERE name > ? ORDER BY name LIMIT ?"),
          after, limit));
  ATTUNE_RETURN_IF_ERROR(ReadAliases(models));
  return models;
}

absl::Status SqliteModelStore::ReadAliases(std::vector<Model>& models) const {
  for (Model& model : models) {
    ATTUNE_RETURN_IF_ERROR(ForEachRow(
        connection_,
        [&](Row& row) {
          std::string alias = row.Text();
          model.aliases[std::move(alias)] = row.Int32();
        },
        "SELECT a.alias, a.number FROM aliases a JOIN models m"
        " ON m.id = a.model WHERE m.name = ?",
        model.name));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> SqliteModelStore::FindId(absl::string_view name) const {
  return SelectOne(connection_, NotFound("model", name), ReadInt64,
                   "SELECT id FROM models WHERE name = ?", name);
}

absl::StatusOr<int64_t> SqliteModelStore::FindManifest(
    absl::string_view digest) const {
  return SelectOne(connection_, NotFound("manifest", digest), ReadInt64,
                   "SELECT id FROM manifests WHERE digest = ?", digest);
}

absl::StatusOr<int64_t> SqliteModelStore::FindDataset(
    absl::string_view name) const {
  return SelectOne(connection_, NotFound("dataset", name), ReadInt64,
                   "SELECT id FROM datasets WHERE name = ?", name);
}

absl::StatusOr<int64_t> SqliteModelStore::FindOrInsertManifest(
    const Version& version, const TensorManifest& manifest) {
  absl::StatusOr<int64_t> found = FindManifest(version.digest);
  if (!absl::IsNotFound(found.status())) return found;
  return InsertManifest(connection_, version.digest, manifest);
}

absl::StatusOr<int32_t> SqliteModelStore::AddVersion(
    const Version& version, const TensorManifest& manifest) {
  ATTUNE_ASSIGN_OR_RETURN(
      const auto model,
      SelectOne(
          connection_, NotFound("model", version.model),
          [](Row& row) {
            const int64_t id = row.Int64();
            return std::make_pair(id, row.Int32());
          },
          "UPDATE models SET last_version = last_version + 1 WHERE name = ?"
          " RETURNING id, last_version",
          version.model));
  const auto [id, number] = model;
  ATTUNE_ASSIGN_OR_RETURN(const int64_t manifest_id,
                          FindOrInsertManifest(version, manifest));
  std::optional<std::string> broken_bounds;
  if (version.broken_bounds.has_value()) {
    broken_bounds = ToJson(*version.broken_bounds);
  }
  ATTUNE_RETURN_IF_ERROR(Execute(
      connection_,
      "INSERT INTO versions (model, number, source, create_time, config,"
      " job_id, base, dataset, dataset_digest, manifest, tensor_count,"
      " parameter_count, size_bytes, own_size_bytes, broken_bounds)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      id, number, version.source, version.create_time, ToJson(version.config),
      version.job_id, version.base, version.dataset, version.dataset_digest,
      manifest_id, version.tensor_count, version.parameter_count,
      version.size_bytes, version.own_size_bytes, broken_bounds));
  return number;
}

absl::StatusOr<Version> SqliteModelStore::GetVersion(absl::string_view model,
                                                     int32_t number) const {
  return SelectOne(
      connection_, VersionNotFound(model, number), ReadVersion,
      absl::StrCat(kSelectVersion, " WHERE m.name = ? AND v.number = ?"), model,
      number);
}

absl::StatusOr<std::vector<Version>> SqliteModelStore::ListVersions(
    absl::string_view model, int32_t before, int limit) const {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t id, FindId(model));
  return SelectAll(
      connection_, ReadVersion,
      absl::StrCat(kSelectVersion,
                   " WHERE v.model = ? AND v.number < ?"
                   " ORDER BY v.number DESC LIMIT ?"),
      id, before == 0 ? std::numeric_limits<int32_t>::max() : before, limit);
}

absl::StatusOr<TensorManifest> SqliteModelStore::GetManifest(
    absl::string_view manifest_digest) const {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t id, FindManifest(manifest_digest));
  return ReadManifest(connection_, id);
}

absl::Status SqliteModelStore::AddEmbeddings(
    absl::string_view manifest_digest, absl::string_view dataset,
    const StoredEmbeddings& embeddings) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t base, FindManifest(manifest_digest));
  ATTUNE_ASSIGN_OR_RETURN(const int64_t dataset_id, FindDataset(dataset));
  ATTUNE_ASSIGN_OR_RETURN(
      const int64_t manifest,
      InsertManifest(connection_, std::nullopt, embeddings.manifest));
  return Execute(connection_,
                 "INSERT INTO embeddings (base, dataset, variant, manifest)"
                 " VALUES (?, ?, ?, ?)",
                 base, dataset_id, embeddings.variant, manifest);
}

absl::StatusOr<std::vector<StoredEmbeddings>> SqliteModelStore::ListEmbeddings(
    absl::string_view manifest_digest, absl::string_view dataset,
    int limit) const {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t base, FindManifest(manifest_digest));
  ATTUNE_ASSIGN_OR_RETURN(const int64_t dataset_id, FindDataset(dataset));
  std::vector<StoredEmbeddings> all;
  std::vector<int64_t> manifests;
  const auto read = [&](Row& row) {
    all.push_back({.variant = row.Text(), .manifest = {}});
    manifests.push_back(row.Int64());
  };
  ATTUNE_RETURN_IF_ERROR(
      ForEachRow(connection_, read,
                 "SELECT variant, manifest FROM embeddings INDEXED BY "
                 "embeddings_by_dataset"
                 " WHERE dataset = ? AND base = ? ORDER BY id LIMIT ?",
                 dataset_id, base, limit));
  ATTUNE_RETURN_IF_ERROR(ForEachRow(
      connection_, read,
      "SELECT variant, manifest FROM embeddings INDEXED BY embeddings_by_base"
      " WHERE base = ? AND dataset <> ? ORDER BY id DESC LIMIT ?",
      base, dataset_id, limit - static_cast<int>(all.size())));
  for (size_t i = 0; i < all.size(); ++i) {
    ATTUNE_ASSIGN_OR_RETURN(all[i].manifest,
                            ReadManifest(connection_, manifests[i]));
  }
  return all;
}

absl::Status SqliteModelStore::SetAlias(absl::string_view model,
                                        absl::string_view alias,
                                        int32_t number) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t id, FindId(model));
  if (number == 0) {
    return ExecuteOnRow(
        connection_, NotFound("alias", absl::StrCat(model, "@", alias)),
        "DELETE FROM aliases WHERE model = ? AND alias = ?", id, alias);
  }
  return ExecuteOnRow(
      connection_, VersionNotFound(model, number),
      "INSERT INTO aliases (model, alias, number)"
      " SELECT model, ?, number FROM versions WHERE model = ? AND number = ?"
      " ON CONFLICT (model, alias) DO UPDATE SET number = excluded.number",
      alias, id, number);
}

absl::Status SqliteModelStore::Delete(absl::string_view name) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t id, FindId(name));
  ATTUNE_ASSIGN_OR_RETURN(
      const std::vector<int64_t> manifests,
      SelectAll(connection_, ReadInt64,
                "SELECT DISTINCT manifest FROM versions WHERE model = ?", id));
  ATTUNE_RETURN_IF_ERROR(
      Execute(connection_, "DELETE FROM models WHERE id = ?", id));
  for (const int64_t manifest : manifests) {
    ATTUNE_RETURN_IF_ERROR(
        Execute(connection_,
                "DELETE FROM manifests WHERE id = ?1 AND NOT EXISTS"
                " (SELECT 1 FROM versions WHERE manifest = ?1)",
                manifest));
  }
  return absl::OkStatus();
}

}  // namespace attune::storage
