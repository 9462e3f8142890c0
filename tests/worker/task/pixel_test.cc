// Pictures: the cache on disk and the store in memory.

#include <ATen/ATen.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/digest.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "common/image/preprocess.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_util/temp_dir.h"
#include "tests/worker/content/small_clip.h"
#include "worker/task/pixel_cache.h"
#include "worker/task/pixel_store.h"

namespace attune::task {
namespace {

using ::testing::HasSubstr;

constexpr int kSize = 4;
constexpr int64_t kLarge = 1 << 20;

class PixelCacheTest : public testing::Test {
 protected:
  bool Get(const std::string& name, int size = kSize) {
    read_.assign(size_t{3} * size * size, 0);
    return cache_.Get(Sha256Hex(name), size, absl::MakeSpan(read_));
  }
  void Put(const std::string& name, int64_t encoded_bytes = kLarge) {
    cache_.Put(Sha256Hex(name), kSize, encoded_bytes, pixels_);
  }
  int FileCount() const {
    int count = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(dir_.path())) {
      count += entry.is_regular_file();
    }
    return count;
  }

  test::TempDir dir_;
  PixelCache cache_{dir_.path().string()};
  const std::vector<uint8_t> pixels_ =
      std::vector<uint8_t>(size_t{3} * kSize * kSize, 77);
  std::vector<uint8_t> read_;
};

TEST_F(PixelCacheTest, KeptPictureIsFoundBySizeAndDigest) {
  EXPECT_FALSE(Get("a"));
  Put("a");
  EXPECT_TRUE(Get("a"));
  EXPECT_EQ(read_, pixels_);
  EXPECT_FALSE(Get("b"));
  EXPECT_FALSE(Get("a", kSize + 1));
}

TEST_F(PixelCacheTest, SmallFilesAreNotKept) {
  Put("a", 1'000);
  EXPECT_FALSE(Get("a"));
}

TEST_F(PixelCacheTest, DamagedFileIsAMiss) {
  Put("a");
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(dir_.path())) {
    if (!entry.is_regular_file()) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out);
    file.seekp(5);
    file.put('!');
  }
  EXPECT_FALSE(Get("a"));
}

TEST_F(PixelCacheTest, TrimKeepsWhatFits) {
  for (const char* name : {"a", "b", "c"}) Put(name);
  ASSERT_EQ(FileCount(), 3);
  const int64_t one = static_cast<int64_t>(pixels_.size()) + 64;
  cache_.Trim(2 * one);
  EXPECT_EQ(FileCount(), 2);
}

TEST_F(PixelCacheTest, WithoutAFolderNothingIsKept) {
  const PixelCache none("");
  none.Put(Sha256Hex("a"), kSize, kLarge, pixels_);
  EXPECT_FALSE(none.Get(Sha256Hex("a"), kSize, absl::MakeSpan(read_)));
}

class PixelStoreTest : public testing::Test {
 protected:
  // A clean example of those bytes.
  v1::Example MakeExample(int64_t id, const std::string& bytes) {
    v1::Example example;
    example.set_id(id);
    example.set_image_digest(server_.AddBlob(bytes));
    example.mutable_clean();
    return example;
  }

  absl::StatusOr<PixelStore> Load(const ExampleSet& examples,
                                  const std::vector<int64_t>& images) {
    return PixelStore::Load(connection_, examples, images,
                            {.size = 16,
                             .threads = 2,
                             .cache_dir = dir_.path().string(),
                             .decoder = &decoder_},
                            [](int64_t, int64_t) {});
  }

  test::FakeServer server_;
  test::TempDir dir_;
  decode::PictureDecoder decoder_{ATTUNE_DECODER};
  transport::StopSignal stop_;
  transport::ServerConnection connection_{ConnectTo(server_.address()), stop_};
};

TEST_F(PixelStoreTest, PixelsAreThoseOfTheReference) {
  const ExampleSet examples({MakeExample(1, test::Picture(1)),
                             MakeExample(2, test::Picture(2)),
                             MakeExample(3, test::Picture(1))});
  auto store = Load(examples, {1, 0, 1});
  ASSERT_TRUE(store.ok()) << store.status();
  // Examples 1 and 3 show the same picture.
  EXPECT_EQ(examples.images.values().size(), 2u);
  const auto pixels = store->Pixels(std::vector<int64_t>{0, 1, 0});
  ASSERT_TRUE(pixels.ok()) << pixels.status();
  ASSERT_EQ(pixels->sizes(), at::IntArrayRef({3, 16, 16, 3}));
  for (int row = 0; row < 3; ++row) {
    const auto expected =
        *image::DecodeAndPreprocess(test::Picture(row == 1 ? 2 : 1), 16);
    const auto* const got = (*pixels)[row].data_ptr<uint8_t>();
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), got)) << row;
  }
}

TEST_F(PixelStoreTest, BadPictureNamesItsExample) {
  const ExampleSet examples(
      {MakeExample(1, test::Picture(1)), MakeExample(42, "no picture")});
  const absl::Status status = Load(examples, {0, 1}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "INVALID_IMAGE");
  EXPECT_THAT(std::string(status.message()), HasSubstr("example 42: "));
}

TEST_F(PixelStoreTest, OnlyPicturesThatAreAskedForAreFetched) {
  const ExampleSet examples(
      {MakeExample(1, test::Picture(1)), MakeExample(2, "no picture")});
  EXPECT_TRUE(Load(examples, {0}).ok());
}

}  // namespace
}  // namespace attune::task
