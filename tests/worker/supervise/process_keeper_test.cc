#include "worker/supervise/process_keeper.h"

#include <fstream>
#include <thread>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/test_util/temp_dir.h"

namespace attune::supervise {
namespace {

int Lines(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  int count = 0;
  while (std::getline(file, line)) ++count;
  return count;
}

// Keeps a shell script until it has written `lines` lines to a file.
void KeepUntil(const std::string& path, const std::string& script, int lines,
               absl::Duration end_limit) {
  transport::StopSignal stop;
  std::thread stopper([&] {
    while (Lines(path) < lines) absl::SleepFor(absl::Milliseconds(5));
    stop.Stop();
  });
  KeepProcess({"/bin/sh", "-c", script}, stop, end_limit);
  stopper.join();
}

TEST(ProcessKeeperTest, ProcessThatDiesIsStartedAgain) {
  test::TempDir dir;
  const std::string file = dir.File("starts");
  KeepUntil(file, "echo start >>" + file + "; exit 1", 2,
            absl::InfiniteDuration());
  EXPECT_GE(Lines(file), 2);
}

TEST(ProcessKeeperTest, StopEndsTheOrdersAndWaits) {
  test::TempDir dir;
  const std::string file = dir.File("lines");
  KeepUntil(file, "echo start >>" + file + "; cat; echo end >>" + file, 1,
            absl::InfiniteDuration());
  EXPECT_EQ(Lines(file), 2);
}

TEST(ProcessKeeperTest, ProcessThatDoesNotEndIsKilled) {
  test::TempDir dir;
  const std::string file = dir.File("lines");
  KeepUntil(file, "echo start >>" + file + "; exec sleep 1000", 1,
            absl::ZeroDuration());
  EXPECT_EQ(Lines(file), 1);
}

}  // namespace
}  // namespace attune::supervise
