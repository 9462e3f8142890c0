#include "worker/convert/pickle.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace attune::convert {
namespace {

using testing::HasSubstr;
using Kind = PickleValue::Kind;

// A literal with the zeros in it.
template <size_t N>
std::string Bytes(const char (&literal)[N]) {
  return {literal, N - 1};
}

void ExpectInvalid(absl::string_view bytes, const std::string& message) {
  const absl::Status status = Pickle::Read(bytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "INVALID_PICKLE");
  EXPECT_THAT(status.message(), HasSubstr(message));
}

// {"a": [1, -2, 300], "b": ("x", None, True)} as Python 3.11 pickles it.
// Protocol 2.
const std::string kProtocol2 = Bytes(
    "\x80\x02}q\x00(X\x01\x00\x00\x00"
    "aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM,\x01"
    "eX\x01\x00\x00\x00"
    "bq\x03X\x01\x00\x00\x00xq\x04N\x88\x87q\x05u.");
// Protocol 5.
const std::string kProtocol5 = Bytes(
    "\x80\x05\x95#\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01"
    "a\x94]\x94(K\x01J\xfe\xff\xff\xffM,\x01"
    "e\x8c\x01"
    "b\x94\x8c\x01x\x94N\x88\x87\x94u.");

TEST(PickleTest, ReadsWhatPythonWrites) {
  for (const std::string& bytes : {kProtocol2, kProtocol5}) {
    const absl::StatusOr<Pickle> pickle = Pickle::Read(bytes);
    ASSERT_TRUE(pickle.ok()) << pickle.status();
    const PickleValue& root = pickle->root();
    ASSERT_EQ(root.kind, Kind::kDict);
    const PickleValue* a = root.Find("a");
    ASSERT_NE(a, nullptr);
    ASSERT_EQ(a->items.size(), 3u);
    EXPECT_EQ(a->items[1]->integer, -2);
    EXPECT_EQ(a->items[2]->integer, 300);
    const PickleValue* b = root.Find("b");
    ASSERT_NE(b, nullptr);
    ASSERT_EQ(b->items.size(), 3u);
    EXPECT_EQ(b->items[0]->text, "x");
    EXPECT_EQ(b->items[1]->kind, Kind::kNone);
    EXPECT_EQ(b->items[2]->integer, 1);
    EXPECT_EQ(root.Find("c"), nullptr);
  }
}

TEST(PickleTest, LongNumbersHaveTheirSign) {
  EXPECT_EQ(Pickle::Read(Bytes("\x8a\x02\x00\xff."))->root().integer, -256);
  EXPECT_EQ(Pickle::Read(Bytes("\x8a\x00."))->root().integer, 0);
  EXPECT_EQ(Pickle::Read(Bytes("\x8a\x03\xff\xff\x00."))->root().integer,
            65535);
}

// os.system("touch …"), the textbook attack.
TEST(PickleTest, CallsAreReadAndNotMade) {
  const absl::StatusOr<Pickle> pickle =
      Pickle::Read(Bytes("\x80\x02"
                         "cos\nsystem\nX\x04\x00\x00\x00true\x85R."));
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  EXPECT_EQ(pickle->root().kind, Kind::kObject);
  EXPECT_EQ(pickle->root().text, "os.system");
  ASSERT_EQ(pickle->root().items.size(), 1u);
  EXPECT_EQ(pickle->root().items[0]->text, "true");
}

TEST(PickleTest, ObjectsKeepTheirAttributes) {
  const absl::StatusOr<Pickle> pickle =
      Pickle::Read(Bytes("ca.b\nC\n)\x81}X\x01\x00\x00\x00xK\x07sb."));
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  EXPECT_EQ(pickle->root().text, "a.b.C");
  ASSERT_NE(pickle->root().Find("x"), nullptr);
  EXPECT_EQ(pickle->root().Find("x")->integer, 7);
}

TEST(PickleTest, WhatIsNoPickleIsRefused) {
  ExpectInvalid("", "ends within");
  ExpectInvalid(".", "empty stack");
  ExpectInvalid("N", "ends within");
  ExpectInvalid("X\xff\xff\xff\xff", "ends within");
  ExpectInvalid(Bytes("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"), "ends within");
  ExpectInvalid("cos", "ends within");
  ExpectInvalid("t.", "lacks a mark");
  ExpectInvalid("(0", "empty stack");
  ExpectInvalid(Bytes("h\x03."), "names a value");
  ExpectInvalid("}(NuN.", "key without a value");
  ExpectInvalid("N)R.", "no class");
  // Instructions that no checkpoint has: text of protocol 0, extensions.
  ExpectInvalid("I1\n.", "instruction 0x49");
  ExpectInvalid(Bytes("\x82\x01."), "instruction 0x82");
}

TEST(PickleTest, ValuesMayContainEachOther) {
  // a = []; a.append(a).
  const absl::StatusOr<Pickle> pickle =
      Pickle::Read(Bytes("]q\x00h\x00"
                         "a."));
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  EXPECT_EQ(pickle->root().items[0], &pickle->root());
}

TEST(PickleTest, DeepNestingDoesNoHarm) {
  std::string bytes = "N" + std::string(1'000'000, '\x85') + ".";
  EXPECT_TRUE(Pickle::Read(bytes).ok());
}

TEST(PickleTest, ShortPicklesDoNotGrow) {
  // A tuple of a thousand, then a call with it again and again.
  std::string bytes = "cm\nf\nq";
  bytes += '\0';
  bytes += "0(" + std::string(1000, 'N') + "tq\x01" + "0";
  for (int i = 0; i < 10'000; ++i) bytes += Bytes("h\0h\x01R0");
  ExpectInvalid(bytes + "N.", "too many values");
  // Two objects that take each other's attributes: each time twice as many.
  std::string twins =
      Bytes("cm\nf\n)\x81q\0}K\0Nsb0") + Bytes("cm\nf\n)\x81q\1}K\1Nsb0");
  for (int i = 0; i < 100; ++i) twins += Bytes("h\0h\1b0h\1h\0b0");
  ExpectInvalid(twins + "N.", "too many values");
}

// Whatever one byte is changed to, the pickle is read or refused.
TEST(PickleTest, ChangedBytesDoNoHarm) {
  for (const std::string& good : {kProtocol2, kProtocol5}) {
    for (size_t i = 0; i < good.size(); ++i) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string changed = good;
        changed[i] = static_cast<char>(byte);
        const absl::StatusOr<Pickle> pickle = Pickle::Read(changed);
        if (!pickle.ok()) {
          EXPECT_EQ(ErrorReason(pickle.status()), "INVALID_PICKLE");
        }
      }
    }
  }
}

}  // namespace
}  // namespace attune::convert
