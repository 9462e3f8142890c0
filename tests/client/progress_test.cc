#include "client/commands/progress.h"

#include <sstream>

#include "gtest/gtest.h"

namespace attune::client {
namespace {

TEST(ProgressLine, DrawsABarInPlaceAndRemovesIt) {
  std::ostringstream out;
  {
    ProgressLine line(out, /*terminal=*/true, 80);
    line.Show(0.5, "half");
  }
  EXPECT_EQ(out.str(), "\r\x1b[K 50% [============>           ] half\r\x1b[K");
}

TEST(ProgressLine, AFullBarHasNoTip) {
  std::ostringstream out;
  ProgressLine line(out, true, 80);
  line.Show(1.7, "done");
  EXPECT_EQ(out.str(), "\r\x1b[K100% [========================] done");
}

TEST(ProgressLine, LinesNeverReachTheTerminalsEdge) {
  std::ostringstream out;
  ProgressLine line(out, true, 10);
  line.Show(-1, "a text that is too long");
  EXPECT_EQ(out.str(), "\r\x1b[Ka text th");
}

TEST(ProgressLine, PrintedLinesReplaceTheDrawnOne) {
  std::ostringstream out;
  ProgressLine line(out, true, 80);
  line.Show(-1, "x");
  line.Print("stays");
  EXPECT_EQ(out.str(), "\r\x1b[Kx\r\x1b[Kstays\n");
}

TEST(ProgressLine, WithoutATerminalOnlyPrintedLinesAppear) {
  std::ostringstream out;
  {
    ProgressLine line(out, /*terminal=*/false, 80);
    line.Show(0.5, "half");
    line.Print("stays");
  }
  EXPECT_EQ(out.str(), "stays\n");
}

}  // namespace
}  // namespace attune::client
