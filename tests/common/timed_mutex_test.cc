#include "common/timed_mutex.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace attune {
namespace {

TEST(TimedMutexTest, AWaitEndsAsSoonAsItsConditionIsTrue) {
  TimedMutex mutex;
  bool ready = false;
  std::thread setter([&] {
    absl::SleepFor(absl::Milliseconds(20));
    TimedMutexLock lock(&mutex);
    ready = true;
  });
  {
    TimedMutexLock lock(&mutex);
    EXPECT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&ready),
                                       absl::InfiniteDuration()));
    EXPECT_TRUE(ready);
  }
  setter.join();
}

TEST(TimedMutexTest, AConditionThatHoldsIsNotWaitedFor) {
  TimedMutex mutex;
  bool ready = true;
  TimedMutexLock lock(&mutex);
  EXPECT_TRUE(
      mutex.AwaitWithTimeout(absl::Condition(&ready), absl::ZeroDuration()));
  mutex.Await(absl::Condition(&ready));
}

TEST(TimedMutexTest, AWaitEndsAfterItsTimeAndNotBefore) {
  TimedMutex mutex;
  bool never = false;
  TimedMutexLock lock(&mutex);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_FALSE(
      mutex.AwaitWithTimeout(absl::Condition(&never), absl::Milliseconds(30)));
  EXPECT_GE(std::chrono::steady_clock::now() - began,
            std::chrono::milliseconds(30));
  EXPECT_FALSE(mutex.AwaitWithTimeout(absl::Condition(&never),
                                      -absl::InfiniteDuration()));
}

TEST(TimedMutexTest, WhatAWaitingThreadChangedWakesTheOthers) {
  TimedMutex mutex;
  bool first = false;
  bool second = false;
  std::thread other([&] {
    TimedMutexLock lock(&mutex);
    mutex.Await(absl::Condition(&first));
    second = true;
  });
  {
    TimedMutexLock lock(&mutex);
    // Not unlocked between the change and the wait but by the wait.
    first = true;
    EXPECT_TRUE(
        mutex.AwaitWithTimeout(absl::Condition(&second), absl::Seconds(30)));
  }
  other.join();
}

TEST(TimedMutexTest, AWaiterMayDestroyIt) {
  for (int i = 0; i < 1'000; ++i) {
    auto mutex = std::make_unique<TimedMutex>();
    bool done = false;
    std::thread setter([&mutex = *mutex, &done] {
      TimedMutexLock lock(&mutex);
      done = true;
    });
    {
      TimedMutexLock lock(mutex.get());
      mutex->Await(absl::Condition(&done));
    }
    mutex.reset();
    setter.join();
  }
}

TEST(TimedMutexTest, ThreadsExcludeEachOther) {
  TimedMutex mutex;
  int turn = 0;
  constexpr int kThreads = 4;
  constexpr int kTurns = 400;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int n = i; n < kTurns; n += kThreads) {
        const auto mine = [&turn, n] { return turn == n; };
        TimedMutexLock lock(&mutex);
        mutex.Await(absl::Condition(&mine));
        ++turn;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(turn, kTurns);
}

}  // namespace
}  // namespace attune
