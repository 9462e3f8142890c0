#include "storage/sqlite/dataset_store.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "storage/sqlite/query.h"
#include "storage/sqlite/record_json.h"

namespace attune::storage {
namespace {

constexpr absl::string_view kSelectDataset =
    "SELECT name, state, create_time, seal_time, candidates, candidates_named,"
    " pair_count, clean_count, labelled_count, caption_count, image_bytes,"
    " digest, invalid_examples, invalid_example_count FROM datasets";

Dataset ReadDataset(Row& row) {
  Dataset dataset;
  dataset.name = row.Text();
  dataset.state = row.Enum<DatasetState>();
  dataset.create_time = row.Time();
  dataset.seal_time = row.OptionalTime();
  dataset.candidates = FromJson<std::vector<std::string>>(row.Text());
  dataset.candidates_named = row.Bool();
  dataset.counts.pair = row.Int64();
  dataset.counts.clean = row.Int64();
  dataset.counts.labelled = row.Int64();
  dataset.counts.caption = row.Int64();
  dataset.image_bytes = row.Int64();
  dataset.digest = row.Text();
  dataset.invalid_examples = FromJson<std::vector<InvalidExample>>(row.Text());
  dataset.invalid_example_count = row.Int64();
  return dataset;
}

Example ReadExample(Row& row) {
  Example example;
  example.id = row.Int64();
  example.kind = row.Enum<ExampleKind>();
  example.image_digest = row.Text();
  example.image_size_bytes = row.Int64();
  example.clean_image_digest = row.Text();
  example.clean_image_size_bytes = row.Int64();
  example.text = row.Text();
  example.other_text = row.Text();
  example.attributes = FromJson<Attributes>(row.Text());
  example.caption_attributes = FromJson<Attributes>(row.Text());
  return example;
}

int64_t& CountOf(ExampleKind kind, ExampleCounts& counts) {
  switch (kind) {
    case ExampleKind::kPair:
      return counts.pair;
    case ExampleKind::kClean:
      return counts.clean;
    case ExampleKind::kLabelled:
      return counts.labelled;
    case ExampleKind::kCaption:
      break;
  }
  return counts.caption;
}

}  // namespace

// What examples that come or go change in their dataset's row.
struct SqliteDatasetStore::Change {
  ExampleCounts counts;
  int64_t image_bytes = 0;
  int64_t last_example = 0;
};

absl::Status SqliteDatasetStore::Insert(const Dataset& dataset) {
  absl::Status status = Execute(
      connection_,
      "INSERT INTO datasets (name, state, create_time, seal_time, candidates,"
      " candidates_named, digest, invalid_examples, invalid_example_count)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      dataset.name, dataset.state, dataset.create_time, dataset.seal_time,
      ToJson(dataset.candidates), dataset.candidates_named, dataset.digest,
      ToJson(dataset.invalid_examples), dataset.invalid_example_count);
  return AlreadyExistsAs(std::move(status), "dataset", dataset.name);
}

absl::Status SqliteDatasetStore::Update(const Dataset& dataset) {
  return ExecuteOnRow(
      connection_, NotFound("dataset", dataset.name),
      "UPDATE datasets SET state = ?, create_time = ?, seal_time = ?,"
      " candidates = ?, candidates_named = ?, digest = ?,"
      " invalid_examples = ?, invalid_example_count = ? WHERE name = ?",
      dataset.state, dataset.create_time, dataset.seal_time,
      ToJson(dataset.candidates), dataset.candidates_named, dataset.digest,
      ToJson(dataset.invalid_examples), dataset.invalid_example_count,
      dataset.name);
}

absl::StatusOr<Dataset> SqliteDatasetStore::Get(absl::string_view name) const {
  return SelectOne(connection_, NotFound("dataset", name), ReadDataset,
                   absl::StrCat(kSelectDataset, " WHERE name = ?"), name);
}

absl::StatusOr<std::vector<Dataset>> SqliteDatasetStore::List(
    absl::string_view after, int limit) const {
  return SelectAll(
      connection_, ReadDataset,
      absl::StrCat(kSelectDataset, " WHERE name > ? ORDER BY name LIMIT ?"),
      after, limit);
}

absl::StatusOr<int64_t> SqliteDatasetStore::FindId(
    absl::string_view name) const {
  return SelectOne(connection_, NotFound("dataset", name), ReadInt64,
                   "SELECT id FROM datasets WHERE name = ?", name);
}

absl::StatusOr<int64_t> SqliteDatasetStore::UseImage(int64_t dataset,
                                                     const std::string& digest,
                                                     int64_t size_bytes,
                                                     Change& change) {
  ATTUNE_ASSIGN_OR_RETURN(
      const auto image,
      SelectOne(
          connection_, absl::InternalError("no image row"),
          [](Row& row) {
            const int64_t id = row.Int64();
            return std::make_pair(id, row.Int64());
          },
          "INSERT INTO images (dataset, digest, size_bytes, use_count)"
          " VALUES (?, ?, ?, 1)"
          " ON CONFLICT (digest, dataset) DO UPDATE SET"
          " use_count = use_count + 1 RETURNING id, use_count",
          dataset, digest, size_bytes));
  const auto [id, use_count] = image;
  if (use_count == 1) change.image_bytes += size_bytes;
  return id;
}

absl::Status SqliteDatasetStore::ReleaseImage(int64_t image, Change& change) {
  ATTUNE_RETURN_IF_ERROR(Execute(
      connection_, "UPDATE images SET use_count = use_count - 1 WHERE id = ?",
      image));
  return ForEachRow(
      connection_, [&](Row& row) { change.image_bytes -= row.Int64(); },
      "DELETE FROM images WHERE id = ? AND use_count = 0 RETURNING size_bytes",
      image);
}

absl::Status SqliteDatasetStore::InsertExample(int64_t dataset,
                                               const Example& example,
                                               Change& change) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t image,
                          UseImage(dataset, example.image_digest,
                                   example.image_size_bytes, change));
  std::optional<int64_t> clean_image;
  if (!example.clean_image_digest.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(clean_image,
                            UseImage(dataset, example.clean_image_digest,
                                     example.clean_image_size_bytes, change));
  }
  ++CountOf(example.kind, change.counts);
  return Execute(
      connection_,
      "INSERT INTO examples (dataset, id, kind, image, clean_image, text,"
      " other_text, attributes, caption_attributes)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      dataset, ++change.last_example, example.kind, image, clean_image,
      example.text, example.other_text, ToJson(example.attributes),
      ToJson(example.caption_attributes));
}

absl::Status SqliteDatasetStore::AddExamples(
    absl::string_view dataset, absl::Span<const Example> examples) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t id, FindId(dataset));
  Change change;
  ATTUNE_ASSIGN_OR_RETURN(
      change.last_example,
      SelectOne(connection_, NotFound("dataset", dataset), ReadInt64,
                "SELECT last_example FROM datasets WHERE id = ?", id));
  for (const Example& example : examples) {
    ATTUNE_RETURN_IF_ERROR(InsertExample(id, example, change));
  }
  return Apply(id, change);
}

absl::Status SqliteDatasetStore::Apply(int64_t dataset, const Change& change) {
  return Execute(
      connection_,
      "UPDATE datasets SET pair_count = pair_count + ?,"
      " clean_count = clean_count + ?, labelled_count = labelled_count + ?,"
      " caption_count = caption_count + ?, image_bytes = image_bytes + ?,"
      " last_example = max(last_example, ?) WHERE id = ?",
      change.counts.pair, change.counts.clean, change.counts.labelled,
      change.counts.caption, change.image_bytes, change.last_example, dataset);
}

absl::StatusOr<std::vector<Example>> SqliteDatasetStore::ListExamples(
    absl::string_view dataset, int64_t after_id, int limit) const {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t id, FindId(dataset));
  return SelectAll(
      connection_, ReadExample,
      "SELECT e.id, e.kind, i.digest, i.size_bytes, coalesce(c.digest, ''),"
      " coalesce(c.size_bytes, 0), e.text, e.other_text, e.attributes,"
      " e.caption_attributes FROM examples e"
      " JOIN images i ON i.id = e.image"
      " LEFT JOIN images c ON c.id = e.clean_image"
      " WHERE e.dataset = ? AND e.id > ? ORDER BY e.id LIMIT ?",
      id, after_id, limit);
}

absl::Status SqliteDatasetStore::DeleteExample(int64_t dataset, int64_t id,
                                               Change& change) {
  struct Gone {
    ExampleKind kind;
    int64_t image;
    int64_t clean_image;  // 0 for none: ids start at 1
  };
  ATTUNE_ASSIGN_OR_RETURN(
      const auto gone, SelectAll(
                           connection_,
                           [](Row& row) {
                             Gone example;
                             example.kind = row.Enum<ExampleKind>();
                             example.image = row.Int64();
                             example.clean_image = row.Int64();
                             return example;
                           },
                           "DELETE FROM examples WHERE dataset = ? AND id = ?"
                           " RETURNING kind, image, coalesce(clean_image, 0)",
                           dataset, id));
  for (const Gone& example : gone) {
    --CountOf(example.kind, change.counts);
    ATTUNE_RETURN_IF_ERROR(ReleaseImage(example.image, change));
    if (example.clean_image != 0) {
      ATTUNE_RETURN_IF_ERROR(ReleaseImage(example.clean_image, change));
    }
  }
  return absl::OkStatus();
}

absl::Status SqliteDatasetStore::DeleteExamples(absl::string_view dataset,
                                                absl::Span<const int64_t> ids) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t dataset_id, FindId(dataset));
  Change change;
  for (const int64_t id : ids) {
    ATTUNE_RETURN_IF_ERROR(DeleteExample(dataset_id, id, change));
  }
  return Apply(dataset_id, change);
}

absl::StatusOr<std::vector<std::string>> SqliteDatasetStore::DistinctTexts(
    absl::string_view dataset, int limit) const {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t id, FindId(dataset));
  return SelectAll(connection_, ReadText,
                   "SELECT text FROM examples WHERE dataset = ?1 AND text <> ''"
                   " UNION SELECT other_text FROM examples"
                   " WHERE dataset = ?1 AND other_text <> ''"
                   " ORDER BY 1 LIMIT ?2",
                   id, limit);
}

absl::Status SqliteDatasetStore::Delete(absl::string_view name) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t id, FindId(name));
  for (const absl::string_view sql : {"DELETE FROM examples WHERE dataset = ?",
                                      "DELETE FROM images WHERE dataset = ?",
                                      "DELETE FROM datasets WHERE id = ?"}) {
    ATTUNE_RETURN_IF_ERROR(Execute(connection_, sql, id));
  }
  return absl::OkStatus();
}

}  // namespace attune::storage
