#include <SQLiteCpp/Database.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/blob_table.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

using ::attune::test::IsOk;

TEST(Concurrency, UploadsReadersAndGarbageCollectionShareABlobStore) {
  constexpr int kWriters = 8;
  constexpr int kRounds = 3;
  test::TempDir folder;
  FakeClock clock;
  SqliteOptions options;
  options.clock = &clock;
  auto opened = OpenBlobStore(folder.File("blobs.db"), options);
  ASSERT_THAT(opened, IsOk());
  BlobStore& store = **opened;
  std::vector<std::thread> threads;
  for (int i = 0; i < kWriters; ++i) {
    threads.emplace_back([&store, i] {
      for (int round = 0; round < kRounds; ++round) {
        // Two writers at a time bring the same bytes.
        const std::string bytes(kChunkBytes + 1000 * (i / 2) + round,
                                static_cast<char>('a' + round));
        std::unique_ptr<BlobWriter> writer = store.NewWriter();
        for (size_t at = 0; at < bytes.size(); at += 1 << 20) {
          ASSERT_THAT(
              writer->Append(absl::string_view(bytes).substr(at, 1 << 20)),
              IsOk());
        }
        const auto digest = writer->Commit(Sha256Hex(bytes));
        ASSERT_THAT(digest, IsOk());
        const auto read = store.ReadAll(*digest);
        ASSERT_THAT(read, IsOk());
        EXPECT_TRUE(*read == bytes);
      }
    });
  }
  std::atomic<bool> done = false;
  std::thread collector([&] {
    while (!done) {
      // Nothing is older than now: the collector only looks.
      EXPECT_EQ(*store.CollectGarbage(
                    absl::ZeroDuration(),
                    [](absl::Span<const std::string>) {
                      return absl::StatusOr<std::vector<std::string>>(
                          std::vector<std::string>());
                    }),
                0);
      EXPECT_THAT(store.TotalBytes(), IsOk());
    }
  });
  for (std::thread& thread : threads) thread.join();
  done = true;
  collector.join();
  int64_t expected = 0;
  for (int pair = 0; pair < kWriters / 2; ++pair) {
    for (int round = 0; round < kRounds; ++round) {
      expected += kChunkBytes + 1000 * pair + round;
    }
  }
  EXPECT_EQ(*store.TotalBytes(), expected);
}

TEST(Concurrency, LeasesNeverGiveAJobToTwo) {
  constexpr int kWorkers = 8;
  constexpr int kJobs = 200;
  test::TempDir folder;
  const auto store = OpenState(folder.File("state.db"));
  Write(*store, [](StateTransaction& transaction) {
    for (int i = 0; i < kJobs; ++i) {
      Job job;
      job.id = absl::StrCat("job-", i);
      EXPECT_THAT(transaction.jobs().Insert(job), IsOk());
    }
  });
  std::atomic<int> leased = 0;
  std::vector<std::thread> threads;
  for (int worker = 0; worker < kWorkers; ++worker) {
    threads.emplace_back([&, worker] {
      bool more = true;
      while (more) {
        Write(*store, [&](StateTransaction& transaction) {
          auto job = transaction.jobs().OldestQueued();
          ASSERT_THAT(job, IsOk());
          more = job->has_value();
          if (!more) return;
          EXPECT_EQ((*job)->attempt, 0);
          (*job)->state = JobState::kRunning;
          (*job)->attempt = 1;
          (*job)->worker_id = absl::StrCat("worker-", worker);
          EXPECT_THAT(transaction.jobs().Update(**job), IsOk());
          ++leased;
        });
        Read(*store, [&](StateTransaction& transaction) {
          // Both counts come from one snapshot.
          EXPECT_EQ(*transaction.jobs().CountInState(JobState::kQueued) +
                        *transaction.jobs().CountInState(JobState::kRunning),
                    kJobs);
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(leased, kJobs);
}

TEST(Concurrency, ABackupUnderLoadIsWhole) {
  constexpr int kEvents = 300;
  test::TempDir folder;
  const std::string path = folder.File("state.db");
  const auto store = OpenState(path);
  Write(*store, [](StateTransaction& transaction) {
    Job job;
    job.id = "job-1";
    EXPECT_THAT(transaction.jobs().Insert(job), IsOk());
  });
  std::thread writer([&] {
    for (int i = 1; i <= kEvents; ++i) {
      // The job's step and the number of its events go together.
      Write(*store, [&](StateTransaction& transaction) {
        EXPECT_THAT(transaction.jobs().AddEvent("job-1", {}), IsOk());
        Job job = *transaction.jobs().Get("job-1");
        job.step = i;
        EXPECT_THAT(transaction.jobs().Update(job), IsOk());
      });
    }
  });
  for (int i = 0; i < 5; ++i) {
    const std::string copy = folder.File(absl::StrCat("backup-", i, ".db"));
    SQLite::Database(path).backup(copy.c_str(), SQLite::Database::Save);
    Read(*OpenState(copy), [](StateTransaction& transaction) {
      EXPECT_EQ(transaction.jobs().Get("job-1")->step,
                transaction.jobs().ListEvents("job-1", 0, kEvents)->size());
    });
    EXPECT_EQ(
        SQLite::Database(copy).execAndGet("PRAGMA integrity_check").getString(),
        "ok");
  }
  writer.join();
}

}  // namespace
}  // namespace attune::storage
