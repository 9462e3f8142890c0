#include "common/safetensors/safetensors.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace attune::safetensors {
namespace {

using testing::HasSubstr;

// A file's first bytes: the length and this header.
std::string WithLength(absl::string_view json) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>(json.size() >> (8 * i)));
  }
  return absl::StrCat(bytes, json);
}

std::string Repeat(absl::string_view text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result.append(text.data(), text.size());
  return result;
}

// Two tensors: a [2, 3] of F32 and then b, a scalar of I64.
constexpr absl::string_view kTwo =
    R"({"__metadata__":{"by":"hand"},)"
    R"("b":{"dtype":"I64","shape":[],"data_offsets":[24,32]},)"
    R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";

TEST(HeaderTest, ListsTensorsByOffset) {
  const std::string bytes = WithLength(kTwo);
  const absl::StatusOr<Header> header =
      ParseHeader(bytes, static_cast<int64_t>(bytes.size()) + 32);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_THAT(
      header->tensors,
      testing::ElementsAre(TensorInfo{"a", DataType::kFloat32, {2, 3}, 0, 24},
                           TensorInfo{"b", DataType::kInt64, {}, 24, 32}));
  EXPECT_THAT(header->metadata,
              testing::ElementsAre(testing::Pair("by", "hand")));
  EXPECT_EQ(header->data_begin, bytes.size());
  EXPECT_EQ(header->file_size(), bytes.size() + 32);
}

TEST(HeaderTest, IsReadOutOfAStream) {
  const std::string bytes = WithLength(kTwo);
  const absl::StatusOr<int64_t> size = HeaderSize(bytes.substr(0, 9));
  ASSERT_TRUE(size.ok());
  EXPECT_EQ(*size, bytes.size());
  // What else the chunk carries does not matter.
  EXPECT_TRUE(ParseHeader(bytes + "and more").ok());
}

TEST(HeaderTest, AllowsSpacesAtTheEndAndEmptyTensors) {
  const absl::StatusOr<Header> header = ParseHeader(WithLength(
      R"({"a":{"dtype":"U8","shape":[0,9],"data_offsets":[0,0]},)"
      R"("b":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}   )"));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->tensors.size(), 2u);
}

TEST(HeaderTest, ReadsWhatItWrites) {
  const std::string strange = "a\"\n\u00e9";
  const std::vector<TensorInfo> tensors = {
      {.name = "z", .data_type = DataType::kFloat16, .shape = {3}},
      {.name = strange, .data_type = DataType::kUint8, .shape = {1, 2}},
      {.name = "m", .data_type = DataType::kFloat32, .shape = {}}};
  const Metadata metadata = {{"key", "value with \"quotes\""}};
  const std::string bytes = WriteHeader(tensors, metadata);
  EXPECT_EQ(bytes.size() % 8, 0u);
  EXPECT_EQ(bytes, WriteHeader(tensors, metadata));

  const absl::StatusOr<Header> header =
      ParseHeader(bytes, static_cast<int64_t>(bytes.size()) + 6 + 2 + 4);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->metadata, metadata);
  EXPECT_THAT(
      header->tensors,
      testing::ElementsAre(TensorInfo{"z", DataType::kFloat16, {3}, 0, 6},
                           TensorInfo{strange, DataType::kUint8, {1, 2}, 6, 8},
                           TensorInfo{"m", DataType::kFloat32, {}, 8, 12}));
}

// As long as a header may be; time must not grow with the square of that.
TEST(HeaderTest, ReadsAHundredThousandTensors) {
  constexpr int kCount = 100'000;
  std::vector<TensorInfo> tensors;
  for (int i = 0; i < kCount; ++i) {
    tensors.push_back({.name = absl::StrCat("t", i),
                       .data_type = DataType::kUint8,
                       .shape = {1}});
  }
  const absl::StatusOr<Header> header = ParseHeader(WriteHeader(tensors, {}));
  ASSERT_TRUE(header.ok()) << header.status();
  ASSERT_EQ(header->tensors.size(), size_t{kCount});
  EXPECT_EQ(header->tensors.back().name, absl::StrCat("t", kCount - 1));
}

TEST(HeaderTest, NoTensorsAreAFileToo) {
  const std::string bytes = WriteHeader({}, {});
  const absl::StatusOr<Header> header =
      ParseHeader(bytes, static_cast<int64_t>(bytes.size()));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_TRUE(header->tensors.empty());
}

// Files that are something else.
struct Foreign {
  std::string name;
  std::string bytes;
  std::string message;
};

class ForeignFileTest : public testing::TestWithParam<Foreign> {};

TEST_P(ForeignFileTest, IsNotSafetensors) {
  const absl::Status status = ParseHeader(GetParam().bytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "NOT_SAFETENSORS");
  EXPECT_THAT(status.message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Files, ForeignFileTest,
    testing::Values(
        Foreign{"Zip", std::string("PK\x03\x04\x14\x00\x00\x00\x08\x00", 10),
                "attune-convert"},
        Foreign{"Pickle", "\x80\x02}q\x01(X\x05zzz", "attune-convert"},
        Foreign{"OldPickle", "\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j",
                "attune-convert"},
        Foreign{"Empty", "", "not a safetensors file"},
        Foreign{"Short", std::string("\x02\0\0\0", 4),
                "not a safetensors file"},
        Foreign{"LengthAlone", std::string("\x02\0\0\0\0\0\0\0", 8),
                "not a safetensors file"},
        Foreign{"Text", "hello, this is a text file", "not a safetensors file"},
        Foreign{"LongHeader", std::string("\x01\0\xa0\0\0\0\0\0{", 9),
                "longer than 10485760 bytes"},
        Foreign{"HugeHeader", std::string(8, '\xff') + "{",
                "longer than 10485760 bytes"},
        Foreign{"Array", WithLength("[1]"), "not a safetensors file"}),
    [](const auto& info) { return info.param.name; });

// A pickle's first bytes may also be a length: 640 is 80 02.
TEST(HeaderTest, LengthsThatLookLikeAPickleAreLengths) {
  std::string json(kTwo);
  json.resize(0x0280, ' ');
  EXPECT_TRUE(ParseHeader(WithLength(json)).ok());
}

// Headers that are wrong; the message says where and what.
struct Hostile {
  std::string name;
  std::string json;
  std::string message;
};

// A header with one tensor "t" of these fields.
std::string One(absl::string_view dtype, absl::string_view shape,
                absl::string_view offsets) {
  return absl::StrCat(R"({"t":{"dtype":)", dtype, R"(,"shape":)", shape,
                      R"(,"data_offsets":)", offsets, "}}");
}

// Two tensors of 4 bytes at these offsets.
std::string Two(absl::string_view first, absl::string_view second) {
  return absl::StrCat(
      R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)", first,
      R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)", second, "}}");
}

class HostileHeaderTest : public testing::TestWithParam<Hostile> {};

TEST_P(HostileHeaderTest, IsRefusedByName) {
  const absl::Status status = ParseHeader(WithLength(GetParam().json)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "INVALID_SAFETENSORS");
  EXPECT_THAT(status.message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Headers, HostileHeaderTest,
    testing::Values(
        Hostile{"NotJson", "{nonsense}", "not a JSON object"},
        Hostile{"Unfinished", R"({"t":)", "not a JSON object"},
        Hostile{"TwoDocuments", "{}{}", "not a JSON object"},
        Hostile{"NotUtf8", "{\"\xff\xfe\":{}}", "not a JSON object"},
        Hostile{"DuplicateTensor",
                R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                R"("t":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                "the key 't' twice"},
        Hostile{"DuplicateField",
                R"({"t":{"dtype":"U8","dtype":"U8","shape":[1],)"
                R"("data_offsets":[0,1]}})",
                "the key 'dtype' twice"},
        Hostile{"DuplicateMetadata", R"({"__metadata__":{"a":"1","a":"2"}})",
                "the key 'a' twice"},
        Hostile{"Deep", R"({"t":)" + Repeat("[", 100000), "nested too deeply"},
        Hostile{"DeepObjects", Repeat(R"({"t":)", 100000), "nested too deeply"},
        Hostile{"NestedShape", One(R"("U8")", "[[1]]", "[0,1]"),
                "nested too deeply"},
        Hostile{"MetadataIsList", R"({"__metadata__":[]})",
                "__metadata__ is not an object"},
        Hostile{"MetadataHoldsNumber", R"({"__metadata__":{"k":1}})",
                "metadata of 'k' is not a string"},
        Hostile{"NoName",
                R"({"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})",
                "has no name"},
        Hostile{"TensorIsNumber", R"({"t":1})",
                "'t' must have dtype, shape and data_offsets"},
        Hostile{"MissingField", R"({"t":{"dtype":"U8","shape":[1]}})",
                "'t' must have dtype, shape and data_offsets"},
        Hostile{"ExtraField",
                R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],)"
                R"("more":1}})",
                "'t' must have dtype, shape and data_offsets"},
        Hostile{"UnknownType", One(R"("F8_E4M3")", "[1]", "[0,1]"),
                "'t' has the type"},
        Hostile{"Double", One(R"("F64")", "[1]", "[0,8]"), "F64"},
        Hostile{"TypeIsNumber", One("4", "[1]", "[0,1]"),
                "'t' has the type '4'"},
        Hostile{"NegativeSize", One(R"("U8")", "[-1]", "[0,1]"),
                "'t' has no valid shape"},
        Hostile{"FractionalSize", One(R"("U8")", "[1.5]", "[0,1]"),
                "'t' has no valid shape"},
        Hostile{"HugeSize", One(R"("U8")", "[18446744073709551615]", "[0,1]"),
                "'t' has no valid shape"},
        Hostile{"OverflowingShape",
                One(R"("F32")", "[4294967296,4294967296,1]", "[0,0]"),
                "'t' has a shape that overflows"},
        Hostile{"OffsetsBackwards", One(R"("U8")", "[1]", "[1,0]"),
                "'t' has no valid data_offsets"},
        Hostile{"NegativeOffset", One(R"("U8")", "[1]", "[-1,0]"),
                "'t' has no valid data_offsets"},
        Hostile{"ThreeOffsets", One(R"("U8")", "[1]", "[0,1,2]"),
                "'t' has no valid data_offsets"},
        Hostile{"OffsetBeyondInt64",
                One(R"("U8")", "[1]",
                    "[18446744073709551614,18446744073709551615]"),
                "'t' has no valid data_offsets"},
        Hostile{
            "EndBeyondInt64",
            One(R"("U8")", "[9223372036854775807]", "[0,9223372036854775807]"),
            "'t' has no valid data_offsets"},
        Hostile{"TooFewBytes", One(R"("F32")", "[2]", "[0,7]"),
                "'t' has 7 bytes where its shape needs 8"},
        Hostile{"GapAtTheBeginning", One(R"("U8")", "[1]", "[1,2]"),
                "'t' leaves a gap of 1 bytes"},
        Hostile{"Gap", Two("[0,4]", "[6,10]"), "'b' leaves a gap of 2 bytes"},
        Hostile{"Overlap", Two("[0,4]", "[2,6]"), "'b' overlaps"},
        Hostile{"SameBytes", Two("[0,4]", "[0,4]"), "'b' overlaps"},
        Hostile{"LongName", R"({")" + Repeat("x", 5000) + R"(":1})", "xxx…'"},
        Hostile{"NameWithControls", R"({"a\u0007\n":1})", "'a\\x07\\n'"}),
    [](const auto& info) { return info.param.name; });

TEST(HeaderTest, TruncatedHeaderIsRefused) {
  const std::string bytes = WithLength(kTwo);
  const absl::Status status =
      ParseHeader(bytes.substr(0, bytes.size() - 1)).status();
  EXPECT_EQ(ErrorReason(status), "INVALID_SAFETENSORS");
  EXPECT_THAT(status.message(), HasSubstr("ends within its header"));
}

TEST(HeaderTest, FileOfAnotherLengthIsRefused) {
  const std::string bytes = WithLength(kTwo);
  const int64_t right = static_cast<int64_t>(bytes.size()) + 32;
  for (int64_t size : {right - 1, right + 1, int64_t{0}}) {
    const absl::Status status = ParseHeader(bytes, size).status();
    EXPECT_EQ(ErrorReason(status), "INVALID_SAFETENSORS");
    EXPECT_THAT(status.message(), HasSubstr("tensor 'b' ends at"));
  }
}

// Whatever one byte is changed to, the header is read or refused.
TEST(HeaderTest, ChangedBytesDoNoHarm) {
  const std::string good = WithLength(kTwo);
  for (size_t i = 0; i < good.size(); ++i) {
    for (char byte : {'\0', '\xff', '{', '"', '9', ']'}) {
      std::string changed = good;
      changed[i] = byte;
      const absl::StatusOr<Header> header = ParseHeader(changed);
      if (!header.ok()) {
        EXPECT_NE(ErrorReason(header.status()), "");
      }
    }
  }
}

TEST(TensorBytesTest, CountsOrSaysThatItCannot) {
  EXPECT_EQ(TensorBytes(DataType::kFloat32, {2, 3}), 24);
  EXPECT_EQ(TensorBytes(DataType::kFloat16, {}), 2);
  EXPECT_EQ(TensorBytes(DataType::kInt64, {0, 5}), 0);
  EXPECT_EQ(TensorBytes(DataType::kUint8, {-1}), std::nullopt);
  EXPECT_EQ(TensorBytes(DataType::kInt64, {int64_t{1} << 60}), std::nullopt);
}

}  // namespace
}  // namespace attune::safetensors
