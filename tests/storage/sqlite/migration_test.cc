#include "storage/sqlite/migration.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/job_store.h"
#include "storage/sqlite/model_store.h"
#include "storage/sqlite/query.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kPageSize = 4096;

std::string FileText(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Every table and index with its columns: what two databases of the same
// schema have in common, however it was made.
std::vector<std::string> Describe(Connection& connection) {
  const auto objects = SelectAll(
      connection,
      [](Row& row) {
        std::string text = row.Text();
        absl::StrAppend(&text, " ", row.Text());
        return absl::StrCat(text, " of ", row.Text());
      },
      "SELECT type, name, tbl_name FROM sqlite_schema ORDER BY 1, 2");
  const auto columns = SelectAll(
      connection,
      [](Row& row) {
        std::string text;
        for (int i = 0; i < 8; ++i) absl::StrAppend(&text, row.Text(), "|");
        return text;
      },
      "SELECT s.name, t.cid, t.name, t.type, t.\"notnull\", t.dflt_value, t.pk,"
      " s.sql LIKE '%STRICT%' FROM sqlite_schema s"
      " JOIN pragma_table_info(s.name) t WHERE s.type = 'table' ORDER BY 1, 2");
  const auto indexes = SelectAll(
      connection,
      [](Row& row) {
        std::string text;
        for (int i = 0; i < 5; ++i) absl::StrAppend(&text, row.Text(), "|");
        return text;
      },
      "SELECT s.name, i.seqno, i.name, i.desc, s.sql FROM sqlite_schema s"
      " JOIN pragma_index_xinfo(s.name) i WHERE s.type = 'index'"
      " ORDER BY 1, 2");
  const auto foreign_keys = SelectAll(
      connection,
      [](Row& row) {
        std::string text;
        for (int i = 0; i < 5; ++i) absl::StrAppend(&text, row.Text(), "|");
        return text;
      },
      "SELECT s.name, f.\"table\", f.\"from\", f.\"to\", f.on_delete"
      " FROM sqlite_schema s JOIN pragma_foreign_key_list(s.name) f"
      " WHERE s.type = 'table' ORDER BY 1, 3");
  std::vector<std::string> all;
  for (const auto& part : {objects, columns, indexes, foreign_keys}) {
    EXPECT_THAT(part, IsOk());
    all.insert(all.end(), part->begin(), part->end());
  }
  return all;
}

int64_t Version(Connection& connection) {
  return SelectOne(connection, absl::InternalError(""), ReadInt64,
                   "PRAGMA user_version")
      .value_or(-1);
}

class CurrentSchema : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Databases, CurrentSchema,
                         testing::Values("state", "blobs"),
                         [](const testing::TestParamInfo<const char*>& info) {
                           return info.param;
                         });

TEST_P(CurrentSchema, IsWhatTheMigrationsMakeStepByStep) {
  const std::string name = GetParam();
  Connection migrated(":memory:", Access::kWriter, kPageSize);
  ASSERT_THAT(Migrate(migrated, name == "state" ? StateSchema() : BlobSchema()),
              IsOk());
  Connection current(":memory:", Access::kWriter, kPageSize);
  const std::string script = FileText(
      absl::StrCat(ATTUNE_SOURCE_DIR "/storage/schema/", name, "/schema.sql"));
  ASSERT_THAT(script, Not(IsEmpty()));
  current.database().exec(script);
  EXPECT_EQ(Describe(migrated), Describe(current));
}

TEST(StateSchemaTest, JobsOfTheVersionBeforeBecomeJobsWithoutALineage) {
  Schema before = StateSchema();
  before.migrations.resize(2);
  Connection connection(":memory:", Access::kWriter, kPageSize);
  ASSERT_THAT(Migrate(connection, before), IsOk());
  connection.database().exec(
      "INSERT INTO jobs (id, kind, spec, state, create_time, attempt,"
      " failure_count, status_message, step, total_steps, worker_id,"
      " lease_token_hash, config_digest, output_versions)"
      " VALUES ('job-1', 3, '{}', 1, 0, 0, 0, '', 0, 0, '', '', '', '[]')");
  ASSERT_THAT(Migrate(connection, StateSchema()), IsOk());
  EXPECT_THAT(*SelectAll(connection, ReadText,
                         "SELECT id || '|' || retry_of || '|' || input_digests"
                         " FROM jobs"),
              ElementsAre("job-1||[]"));
}

TEST(StateMigration, EvaluationsOfVersionOneAreKept) {
  Schema one = StateSchema();
  one.migrations.resize(1);
  Connection connection(":memory:", Access::kWriter, kPageSize);
  ASSERT_THAT(Migrate(connection, one), IsOk());
  connection.database().exec(
      "INSERT INTO jobs VALUES (7, 'job-1', 2, '{}', 7, 1, 1, 1, 1, 0, NULL,"
      " '', 0, 0, '', '', '', '[]');"
      "INSERT INTO evaluations VALUES (3, 7, 5, 'pets', 'd', 'robust:1',"
      " 'clip:1', '[{\"name\":\"accuracy\",\"value\":0.5,\"count\":4}]', '[]');"
      "INSERT INTO models VALUES (1, 'clip', 1, 1);"
      "INSERT INTO manifests VALUES (1, 'd');"
      "INSERT INTO versions VALUES (1, 1, 1, 1, '{}', '', '', '', '', 1, 0, 0,"
      " 0, 0)");
  ASSERT_THAT(Migrate(connection, StateSchema()), IsOk());
  SqliteJobStore jobs(connection);
  const auto evaluation = jobs.GetEvaluation("job-1", "");
  ASSERT_THAT(evaluation, IsOk());
  EXPECT_EQ(evaluation->id, 3);
  EXPECT_EQ(evaluation->dataset, "pets");
  EXPECT_EQ(evaluation->against, "clip:1");
  ASSERT_EQ(evaluation->figures.size(), 1);
  EXPECT_EQ(evaluation->figures[0].value, 0.5);
  EXPECT_THAT(evaluation->comparisons, IsEmpty());
  const auto version = SqliteModelStore(connection).GetVersion("clip", 1);
  ASSERT_THAT(version, IsOk());
  EXPECT_EQ(version->broken_bounds, std::nullopt);
}

TEST(StateMigration, ManifestsOfTheVersionBeforeStay) {
  Connection connection(":memory:", Access::kWriter, kPageSize);
  Schema before = StateSchema();
  before.migrations.resize(4);
  ASSERT_THAT(Migrate(connection, before), IsOk());
  ASSERT_THAT(
      Execute(connection, "INSERT INTO manifests (id, digest) VALUES (7, 'm')"),
      IsOk());
  ASSERT_THAT(Migrate(connection, StateSchema()), IsOk());
  EXPECT_THAT(*SelectAll(connection, ReadText, "SELECT digest FROM manifests"),
              ElementsAre("m"));
  EXPECT_THAT(
      *SelectAll(connection, ReadText, "SELECT variant FROM embeddings"),
      IsEmpty());
}

// A schema of three versions.
class MigrationTest : public testing::Test {
 protected:
  Schema Upto(size_t version) const {
    Schema schema = schema_;
    schema.migrations.resize(version);
    return schema;
  }

  Schema schema_ = {
      77,
      {"CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);",
       "ALTER TABLE a ADD COLUMN y TEXT; UPDATE a SET y = 'old';",
       "CREATE TABLE b (z TEXT) STRICT; INSERT INTO b SELECT y FROM a;"}};
  Connection connection_{":memory:", Access::kWriter, kPageSize};
};

TEST_F(MigrationTest, RunsOnlyWhatIsMissing) {
  ASSERT_THAT(Migrate(connection_, Upto(1)), IsOk());
  EXPECT_EQ(Version(connection_), 1);
  ASSERT_THAT(Migrate(connection_, schema_), IsOk());
  ASSERT_THAT(Migrate(connection_, schema_), IsOk());
  EXPECT_EQ(Version(connection_), 3);
  EXPECT_THAT(*SelectAll(connection_, ReadText, "SELECT z FROM b"),
              ElementsAre("old"));
}

TEST_F(MigrationTest, TheFileIsCopiedBeforeItChanges) {
  test::TempDir folder;
  const std::string path = folder.File("test.db");
  {
    Connection old(path, Access::kWriter, kPageSize);
    ASSERT_THAT(Migrate(old, Upto(1)), IsOk());
  }
  EXPECT_FALSE(std::filesystem::exists(path + ".v0"));
  Connection connection(path, Access::kWriter, kPageSize);
  ASSERT_THAT(Migrate(connection, schema_), IsOk());
  EXPECT_EQ(Version(connection), 3);
  Connection copy(path + ".v1", Access::kWriter, kPageSize);
  EXPECT_EQ(Version(copy), 1);
  EXPECT_THAT(*SelectAll(copy, ReadText, "SELECT x FROM a"), ElementsAre("1"));
  EXPECT_THAT(CheckIntegrity(copy, schema_, IntegrityCheck::kFull), IsOk());
  // The build that wrote it takes it.
  EXPECT_THAT(Migrate(copy, Upto(1)), IsOk());
  EXPECT_FALSE(std::filesystem::exists(path + ".v1.partial"));
}

TEST_F(MigrationTest, WithoutRoomForTheCopyNothingChanges) {
  test::TempDir folder;
  const std::string path = folder.File("test.db");
  Connection connection(path, Access::kWriter, kPageSize);
  ASSERT_THAT(Migrate(connection, Upto(1)), IsOk());
  // A folder in its place stands for a disk that refuses.
  std::filesystem::create_directory(path + ".v1");
  EXPECT_THAT(Migrate(connection, schema_),
              HasError(absl::StatusCode::kFailedPrecondition, "DISK_ERROR"));
  EXPECT_EQ(Version(connection), 1);
}

TEST_F(MigrationTest, AFailedScriptLeavesTheVersionBeforeIt) {
  schema_.migrations[2] = "CREATE TABLE b (z TEXT); INSERT INTO none VALUES(1)";
  EXPECT_THAT(Migrate(connection_, schema_),
              HasError(absl::StatusCode::kInternal, "DATABASE_ERROR"));
  EXPECT_EQ(Version(connection_), 2);
  EXPECT_THAT(*SelectAll(connection_, ReadText,
                         "SELECT name FROM sqlite_schema WHERE name = 'b'"),
              IsEmpty());
}

TEST_F(MigrationTest, AScriptMayNotLeaveRowsThatReferToMissingOnes) {
  schema_.migrations[2] =
      "CREATE TABLE p (id INTEGER PRIMARY KEY);"
      "CREATE TABLE c (p INTEGER REFERENCES p (id)); INSERT INTO c VALUES (9)";
  EXPECT_THAT(Migrate(connection_, schema_),
              HasError(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED"));
  EXPECT_EQ(Version(connection_), 2);
}

TEST_F(MigrationTest, ForeignKeysAreEnforcedAfterwards) {
  schema_.migrations[2] =
      "CREATE TABLE p (id INTEGER PRIMARY KEY);"
      "CREATE TABLE c (p INTEGER REFERENCES p (id))";
  ASSERT_THAT(Migrate(connection_, schema_), IsOk());
  EXPECT_THAT(Execute(connection_, "INSERT INTO c VALUES (9)"),
              HasError(absl::StatusCode::kFailedPrecondition, "STILL_IN_USE"));
}

TEST_F(MigrationTest, ANewerDatabaseIsRefused) {
  ASSERT_THAT(Migrate(connection_, schema_), IsOk());
  EXPECT_THAT(
      Migrate(connection_, Upto(2)),
      HasError(absl::StatusCode::kFailedPrecondition, "SCHEMA_TOO_NEW"));
  EXPECT_EQ(Version(connection_), 3);
}

TEST_F(MigrationTest, AnotherKindOfDatabaseIsRefused) {
  ASSERT_THAT(Migrate(connection_, schema_), IsOk());
  schema_.application_id = 78;
  EXPECT_THAT(
      Migrate(connection_, schema_),
      HasError(absl::StatusCode::kFailedPrecondition, "WRONG_DATABASE"));
}

TEST_F(MigrationTest, AnotherProgramsTablesAreRefused) {
  connection_.database().exec("CREATE TABLE theirs (x)");
  EXPECT_THAT(
      Migrate(connection_, schema_),
      HasError(absl::StatusCode::kFailedPrecondition, "WRONG_DATABASE"));
}

TEST(OpenStore, RefusesTheOtherStoresFile) {
  test::TempDir folder;
  ASSERT_THAT(OpenStateStore(folder.File("state.db")), IsOk());
  EXPECT_THAT(
      OpenBlobStore(folder.File("state.db")),
      HasError(absl::StatusCode::kFailedPrecondition, "WRONG_DATABASE"));
}

TEST(OpenStore, RefusesADatabaseOfANewerBuild) {
  test::TempDir folder;
  const std::string path = folder.File("state.db");
  ASSERT_THAT(OpenStateStore(path), IsOk());
  Connection(path, Access::kWriter, kPageSize)
      .database()
      .exec("PRAGMA user_version = 1000");
  EXPECT_THAT(
      OpenStateStore(path),
      HasError(absl::StatusCode::kFailedPrecondition, "SCHEMA_TOO_NEW"));
}

TEST(OpenStore, AMissingFolderIsUnavailable) {
  test::TempDir folder;
  EXPECT_THAT(OpenStateStore(folder.File("none/state.db")),
              HasError(absl::StatusCode::kUnavailable, "DISK_ERROR"));
}

TEST(OpenStore, AFileThatIsNoDatabaseIsDamaged) {
  test::TempDir folder;
  std::ofstream(folder.File("state.db")) << std::string(5000, 'x');
  EXPECT_THAT(OpenStateStore(folder.File("state.db")),
              HasError(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED"));
}

}  // namespace
}  // namespace attune::storage
