#include "worker/supervise/child_process.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/test_util/temp_dir.h"

namespace attune::supervise {
namespace {

std::vector<std::string> Shell(const std::string& script) {
  return {"/bin/sh", "-c", script};
}

// Waits for the end.
ChildEnd End(ChildProcess& child) {
  while (true) {
    if (const auto end = child.Poll()) return *end;
    child.AwaitProgress(absl::Milliseconds(50));
  }
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

TEST(ChildProcessTest, ExitStatusIsReported) {
  auto child = ChildProcess::Start(Shell("exit 10"), "");
  ASSERT_TRUE(child.ok()) << child.status();
  const ChildEnd end = End(*child);
  EXPECT_EQ(end.status, 10);
  EXPECT_EQ(end.signal, 0);
  EXPECT_EQ(end.Describe(), "ended with exit status 10");
}

TEST(ChildProcessTest, SignalIsNamed) {
  auto child = ChildProcess::Start(Shell("kill -SEGV $$"), "");
  ASSERT_TRUE(child.ok()) << child.status();
  const ChildEnd end = End(*child);
  EXPECT_EQ(end.status, -1);
  EXPECT_EQ(end.signal, SIGSEGV);
  EXPECT_EQ(end.Describe(), "was killed by signal 11 (Segmentation fault)");
}

TEST(ChildProcessTest, MissingProgramIsStatus127) {
  auto child = ChildProcess::Start({"/nonexistent/program"}, "");
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(End(*child).status, 127);
}

TEST(ChildProcessTest, InputLargerThanAPipeReachesTheChild) {
  test::TempDir dir;
  const std::string input(3'000'000, 'i');
  auto child =
      ChildProcess::Start(Shell("cat <&4 >" + dir.File("copy")), input);
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(End(*child).status, 0);
  EXPECT_EQ(ReadFile(dir.File("copy")), input);
}

TEST(ChildProcessTest, OrdersArriveInOrder) {
  test::TempDir dir;
  auto child = ChildProcess::Start(Shell("cat >" + dir.File("orders")), "");
  ASSERT_TRUE(child.ok()) << child.status();
  child->Send(Order::kHandBack);
  child->Send(Order::kCancel);
  child->CloseOrders();
  EXPECT_EQ(End(*child).status, 0);
  EXPECT_EQ(ReadFile(dir.File("orders")), "HC");
}

TEST(ChildProcessTest, NewestProgressIsReturned) {
  const std::string zeros = "\\0\\0\\0\\0\\0\\0\\0";
  const std::string first = "\\001" + zeros + "\\011" + zeros;
  const std::string second = "\\002" + zeros + "\\011" + zeros;
  // One write each, then the child waits for the end of its orders.
  auto child = ChildProcess::Start(
      Shell("printf '" + first + second + "' >&3; cat >/dev/null"), "");
  ASSERT_TRUE(child.ok()) << child.status();
  std::optional<Progress> progress;
  while (!progress) progress = child->AwaitProgress(absl::Seconds(10));
  EXPECT_EQ(progress->step, 2);
  EXPECT_EQ(progress->total_steps, 9);
}

TEST(ChildProcessTest, TerminationSignalsAreIgnored) {
  auto child =
      ChildProcess::Start(Shell("kill -TERM $$; kill -INT $$; exit 7"), "");
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(End(*child).status, 7);
}

TEST(ChildProcessTest, KillEndsARunningChild) {
  auto child = ChildProcess::Start(Shell("exec sleep 1000"), "");
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_FALSE(child->Poll().has_value());
  child->Kill();
  EXPECT_EQ(child->Poll()->signal, SIGKILL);
}

TEST(ChildProcessTest, ChildDiesWithItsParent) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    auto child = ChildProcess::Start({"/bin/sleep", "1000"}, "");
    const pid_t pid = child.ok() ? child->pid() : -1;
    const ssize_t written = write(ends[1], &pid, sizeof(pid));
    _exit(written == sizeof(pid) ? 0 : 1);  // Without any destructor.
  }
  pid_t grandchild = -1;
  ASSERT_EQ(read(ends[0], &grandchild, sizeof(grandchild)),
            static_cast<ssize_t>(sizeof(grandchild)));
  ASSERT_GT(grandchild, 0);
  int status = 0;
  ASSERT_EQ(waitpid(parent, &status, 0), parent);
  // It is gone, or a zombie that its new parent has not yet reaped.
  const std::string path = "/proc/" + std::to_string(grandchild) + "/stat";
  while (true) {
    const std::string stat = ReadFile(path);
    if (stat.empty() || stat.find(") Z ") != std::string::npos) break;
    absl::SleepFor(absl::Milliseconds(5));
  }
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace attune::supervise
