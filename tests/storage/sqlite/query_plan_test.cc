// The queries that run often find their rows through an index, however many
// there are. It asks SQLite about the statements that the stores themselves
// have prepared.

#include <sqlite3.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/dataset_store.h"
#include "storage/sqlite/job_store.h"
#include "storage/sqlite/migration.h"
#include "storage/sqlite/model_store.h"
#include "storage/sqlite/query.h"
#include "storage/sqlite/request_store.h"
#include "tests/test_util/status_matchers.h"

namespace attune::storage {
namespace {

using ::attune::test::IsOk;
using ::testing::IsEmpty;

// The statements that `connection` has prepared.
std::vector<sqlite3_stmt*> Statements(Connection& connection) {
  std::vector<sqlite3_stmt*> statements;
  sqlite3* handle = connection.database().getHandle();
  for (sqlite3_stmt* statement = sqlite3_next_stmt(handle, nullptr);
       statement != nullptr; statement = sqlite3_next_stmt(handle, statement)) {
    statements.push_back(statement);
  }
  return statements;
}

// Those steps of the plans that read a whole table or sort.
std::vector<std::string> SlowSteps(Connection& connection) {
  std::vector<std::string> slow;
  for (sqlite3_stmt* statement : Statements(connection)) {
    const std::string sql = sqlite3_sql(statement);
    // Those that only opening a database runs.
    if (absl::StartsWith(sql, "PRAGMA") ||
        absl::StrContains(sql, "sqlite_schema")) {
      continue;
    }
    EXPECT_THAT(ForEachRow(
                    connection,
                    [&](Row& row) {
                      row.Int64();
                      row.Int64();
                      row.Int64();
                      const std::string step = row.Text();
                      if (absl::StartsWith(step, "SCAN") ||
                          absl::StrContains(step, "TEMP B-TREE")) {
                        slow.push_back(absl::StrCat(step, " in ", sql));
                      }
                    },
                    absl::StrCat("EXPLAIN QUERY PLAN ", sql)),
                IsOk());
  }
  return slow;
}

class QueryPlanTest : public testing::Test {
 protected:
  QueryPlanTest() { EXPECT_THAT(Migrate(connection_, StateSchema()), IsOk()); }

  Connection connection_{":memory:", Access::kWriter, 4096};
};

TEST_F(QueryPlanTest, LeasingFromTenThousandQueuedJobsReadsOneRow) {
  SqliteJobStore jobs(connection_);
  EXPECT_THAT(connection_.RunTransaction("BEGIN",
                                         [&] {
                                           for (int i = 0; i < 10'000; ++i) {
                                             Job job;
                                             job.id = absl::StrCat("job-", i);
                                             if (i < 100)
                                               job.state = JobState::kSucceeded;
                                             EXPECT_THAT(jobs.Insert(job),
                                                         IsOk());
                                           }
                                           return absl::OkStatus();
                                         }),
              IsOk());
  EXPECT_EQ((*jobs.OldestQueued())->id, "job-100");
  EXPECT_EQ(*jobs.CountQueuedBefore(10'000), 9'899);
  for (sqlite3_stmt* statement : Statements(connection_)) {
    EXPECT_EQ(sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_FULLSCAN_STEP,
                                  /*resetFlg=*/0),
              0)
        << sqlite3_sql(statement);
    EXPECT_EQ(sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_SORT,
                                  /*resetFlg=*/0),
              0)
        << sqlite3_sql(statement);
  }
  EXPECT_THAT(SlowSteps(connection_), IsEmpty());
}

TEST_F(QueryPlanTest, JobFunctionsUseIndexes) {
  SqliteJobStore jobs(connection_);
  Job job;
  job.id = "job-1";
  EXPECT_THAT(jobs.Insert(job), IsOk());
  EXPECT_THAT(jobs.Update(job), IsOk());
  EXPECT_THAT(jobs.List(0, 10, {}), IsOk());
  EXPECT_THAT(jobs.CountInState(JobState::kQueued), IsOk());
  EXPECT_THAT(jobs.UnfinishedUsingDataset("d"), IsOk());
  EXPECT_THAT(jobs.PutMetrics("job-1", {MetricRow()}), IsOk());
  EXPECT_THAT(jobs.DeleteMetricsAfter("job-1", 0), IsOk());
  EXPECT_THAT(jobs.ListMetrics("job-1", 0, 10), IsOk());
  EXPECT_THAT(jobs.AddEvent("job-1", {}), IsOk());
  EXPECT_THAT(jobs.ListEvents("job-1", 0, 10), IsOk());
  Checkpoint checkpoint;
  checkpoint.job_id = "job-1";
  EXPECT_THAT(jobs.PutCheckpoint(checkpoint), IsOk());
  EXPECT_THAT(jobs.ListCheckpoints("job-1"), IsOk());
  EXPECT_THAT(jobs.DeleteCheckpoint("job-1", 0), IsOk());
  EXPECT_THAT(jobs.ListEvaluations({}, 0, 10), IsOk());
  EXPECT_THAT(SlowSteps(connection_), IsEmpty());
}

TEST_F(QueryPlanTest, DatasetFunctionsUseIndexes) {
  SqliteDatasetStore datasets(connection_);
  Dataset dataset;
  dataset.name = "pets";
  Example example;
  example.image_digest = "i";
  EXPECT_THAT(datasets.Insert(dataset), IsOk());
  EXPECT_THAT(datasets.Update(dataset), IsOk());
  EXPECT_THAT(datasets.Get("pets"), IsOk());
  EXPECT_THAT(datasets.List("", 10), IsOk());
  EXPECT_THAT(datasets.AddExamples("pets", {example}), IsOk());
  EXPECT_THAT(datasets.ListExamples("pets", 0, 10), IsOk());
  EXPECT_THAT(datasets.DeleteExamples("pets", {1}), IsOk());
  EXPECT_THAT(datasets.Delete("pets"), IsOk());
  EXPECT_THAT(SlowSteps(connection_), IsEmpty());
}

TEST_F(QueryPlanTest, ModelAndRequestFunctionsUseIndexes) {
  SqliteModelStore models(connection_);
  Model model;
  model.name = "clip";
  Version version;
  version.model = "clip";
  EXPECT_THAT(models.Insert(model), IsOk());
  EXPECT_THAT(models.AddVersion(version, {}), IsOk());
  EXPECT_THAT(models.SetAlias("clip", "latest", 1), IsOk());
  EXPECT_THAT(models.Get("clip"), IsOk());
  EXPECT_THAT(models.List("", 10), IsOk());
  EXPECT_THAT(models.GetVersion("clip", 1), IsOk());
  EXPECT_THAT(models.ListVersions("clip", 0, 10), IsOk());
  EXPECT_THAT(models.GetManifest(""), IsOk());
  Dataset dataset;
  dataset.name = "pets";
  EXPECT_THAT(SqliteDatasetStore(connection_).Insert(dataset), IsOk());
  EXPECT_THAT(models.AddEmbeddings("", "pets", {}), IsOk());
  EXPECT_THAT(models.ListEmbeddings("", "pets", 10), IsOk());
  SqliteRequestStore requests(connection_);
  EXPECT_THAT(requests.Find("id"), IsOk());
  EXPECT_THAT(requests.DeleteBefore(absl::UnixEpoch()), IsOk());
  EXPECT_THAT(SlowSteps(connection_), IsEmpty());
}

}  // namespace
}  // namespace attune::storage
