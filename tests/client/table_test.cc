#include "client/commands/table.h"

#include <limits>
#include <sstream>

#include "gtest/gtest.h"

namespace attune::client {
namespace {

TEST(Table, TextIsLeftAndNumbersAreRightWithoutTrailingSpace) {
  Table table({"NAME", "COUNT", "NOTE"});
  table.AddRow({"a", "1,234", ""});
  table.AddRow({"été", "5", "long note"});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(),
            "NAME  COUNT  NOTE\n"
            "a     1,234\n"
            "été       5  long note\n");
}

TEST(Table, AnEmptyTableIsItsHeader) {
  std::ostringstream out;
  Table({"ID", "STATE"}).Print(out);
  EXPECT_EQ(out.str(), "ID  STATE\n");
}

TEST(PrintFields, EmptyValuesAreLeftOutOfTheAlignment) {
  std::ostringstream out;
  PrintFields({{"Job", "x"}, {"A long name", ""}, {"State", "QUEUED"}}, out);
  EXPECT_EQ(out.str(), "Job:    x\nState:  QUEUED\n");
}

TEST(Format, CountsHaveThousandsSeparators) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(-1234567), "-1,234,567");
  EXPECT_EQ(FormatCount(-123), "-123");
}

TEST(Format, BytesHaveBinaryUnits) {
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(int64_t{3} << 40), "3.0 TiB");
  EXPECT_EQ(FormatBytes(std::numeric_limits<int64_t>::max()), "8388608.0 TiB");
}

TEST(Format, TimesThatAreNotSetAreEmpty) {
  EXPECT_EQ(FormatTime(google::protobuf::Timestamp()), "");
  google::protobuf::Timestamp time;
  time.set_seconds(1'700'000'000);
  time.set_nanos(250'000'000);
  EXPECT_EQ(FormatTimeUtc(time), "2023-11-14T22:13:20.250Z");
}

TEST(Format, NumbersHaveFourDigitsOrAllBeforeThePoint) {
  EXPECT_EQ(FormatNumber(0.123456), "0.1235");
  EXPECT_EQ(FormatNumber(2e-5), "2e-05");
  EXPECT_EQ(FormatNumber(123456.7), "123457");
  EXPECT_EQ(FormatNumber(std::numeric_limits<double>::quiet_NaN()), "nan");
}

TEST(Format, EnumNamesLoseTheirPrefix) {
  EXPECT_EQ(WithoutPrefix("JOB_STATE_", "JOB_STATE_QUEUED"), "QUEUED");
}

}  // namespace
}  // namespace attune::client
