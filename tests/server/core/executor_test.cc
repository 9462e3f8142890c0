#include "server/core/executor.h"

#include <atomic>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace attune::core {
namespace {

TEST(ExecutorTest, ShutdownRunsWhatWasSubmitted) {
  std::atomic<int> runs = 0;
  Executor executor(2);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(executor.Submit([&] { ++runs; }));
  }
  executor.Shutdown();
  EXPECT_EQ(runs, 100);
}

TEST(ExecutorTest, WorkIsBegunInOrder) {
  std::vector<int> order;
  Executor executor(1);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(executor.Submit([&order, i] { order.push_back(i); }));
  }
  executor.Shutdown();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(ExecutorTest, BlockedWorkLeavesTheOtherThreads) {
  Executor executor(2);
  absl::Notification release;
  absl::Notification done;
  ASSERT_TRUE(executor.Submit([&] { release.WaitForNotification(); }));
  ASSERT_TRUE(executor.Submit([&] { done.Notify(); }));
  done.WaitForNotification();
  release.Notify();
}

TEST(ExecutorTest, WorkAfterShutdownIsRefused) {
  Executor executor(1);
  executor.Shutdown();
  EXPECT_FALSE(executor.Submit([] { FAIL(); }));
}

}  // namespace
}  // namespace attune::core
