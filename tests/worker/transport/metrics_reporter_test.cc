#include "worker/transport/metrics_reporter.h"

#include "common/error.h"
#include "common/grpc/channel.h"
#include "gtest/gtest.h"
#include "tests/worker/fake_server/fake_server.h"

namespace attune::transport {
namespace {

v1::MetricRow Row(int64_t step) {
  v1::MetricRow row;
  row.set_step(step);
  row.set_loss(0.5);
  return row;
}

class MetricsReporterTest : public ::testing::Test {
 protected:
  MetricsReporterTest() { server_.AddLease("lease"); }

  test::FakeServer server_;
  StopSignal stop_;
  ServerConnection connection_{ConnectTo(server_.address()), stop_};
  // Only full batches and Flush send.
  const MetricsReporter::Options full_batches_{absl::InfiniteDuration(), 3};
};

TEST_F(MetricsReporterTest, FullBatchIsSentAtOnce) {
  MetricsReporter reporter(connection_, "lease", full_batches_);
  for (int i = 1; i <= 3; ++i) reporter.Add(Row(i));
  ASSERT_TRUE(
      server_.Await([](const auto& seen) { return seen.reports.size() == 1; }));
  EXPECT_EQ(server_.seen().reports[0].rows_size(), 3);
}

TEST_F(MetricsReporterTest, FlushSendsTheRestInBatchesOfTheLimit) {
  MetricsReporter reporter(connection_, "lease", full_batches_);
  reporter.SetTotalSteps(40);
  for (int i = 1; i <= 7; ++i) reporter.Add(Row(i));
  ASSERT_TRUE(reporter.Flush().ok());
  const auto seen = server_.seen();
  int64_t next = 1;
  for (const auto& report : seen.reports) {
    EXPECT_LE(report.rows_size(), 3);
    EXPECT_EQ(report.total_steps(), 40);
    for (const v1::MetricRow& row : report.rows()) {
      EXPECT_EQ(row.step(), next++);
    }
  }
  EXPECT_EQ(next, 8);
}

TEST_F(MetricsReporterTest, NotesAreSentInBatchesOfTheLimit) {
  MetricsReporter reporter(
      connection_, "lease",
      {.interval = absl::InfiniteDuration(), .max_rows = 3, .max_notes = 2});
  for (int i = 0; i < 5; ++i) reporter.AddNote("said");
  ASSERT_TRUE(reporter.Flush().ok());
  int notes = 0;
  for (const auto& report : server_.seen().reports) {
    EXPECT_LE(report.notes_size(), 2);
    notes += report.notes_size();
  }
  EXPECT_EQ(notes, 5);
}

TEST_F(MetricsReporterTest, FlushOfNothingReturnsAtOnce) {
  MetricsReporter reporter(connection_, "lease", full_batches_);
  EXPECT_TRUE(reporter.Flush().ok());
  EXPECT_TRUE(server_.seen().reports.empty());
}

TEST_F(MetricsReporterTest, RowIsSentAfterTheInterval) {
  MetricsReporter reporter(connection_, "lease",
                           {absl::Milliseconds(1), 1'000});
  reporter.Add(Row(1));
  EXPECT_TRUE(
      server_.Await([](const auto& seen) { return seen.reports.size() == 1; }));
}

TEST_F(MetricsReporterTest, RowsOutliveAnUnavailableServer) {
  server_.Fail("ReportMetrics", absl::UnavailableError("restarting"), 2);
  MetricsReporter reporter(connection_, "lease", full_batches_);
  reporter.Add(Row(1));
  ASSERT_TRUE(reporter.Flush().ok());
  ASSERT_EQ(server_.seen().reports.size(), 1u);
  EXPECT_EQ(server_.seen().reports[0].rows(0).step(), 1);
}

TEST_F(MetricsReporterTest, LostLeaseEndsReporting) {
  MetricsReporter reporter(connection_, "old", full_batches_);
  reporter.Add(Row(1));
  EXPECT_EQ(ErrorReason(reporter.Flush()), "LEASE_LOST");
  reporter.Add(Row(2));
  EXPECT_EQ(ErrorReason(reporter.Flush()), "LEASE_LOST");
  EXPECT_EQ(server_.seen().calls["ReportMetrics"], 1);
}

}  // namespace
}  // namespace attune::transport
