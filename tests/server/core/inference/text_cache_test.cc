#include "server/core/inference/text_cache.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::core {
namespace {

using ::testing::ElementsAre;

TEST(TextCacheTest, FindsWhatWasInserted) {
  TextCache cache(10'000);
  const std::string key = TextCache::Key("digest", {1, 2, 3});
  std::vector<float> values = {9};
  EXPECT_FALSE(cache.Lookup(key, &values));
  cache.Insert(key, {1, 2});
  EXPECT_TRUE(cache.Lookup(key, &values));
  EXPECT_THAT(values, ElementsAre(9, 1, 2));
}

TEST(TextCacheTest, VersionAndTokensTellKeysApart) {
  EXPECT_NE(TextCache::Key("a", {1, 2}), TextCache::Key("b", {1, 2}));
  EXPECT_NE(TextCache::Key("a", {1, 2}), TextCache::Key("a", {1, 3}));
  EXPECT_NE(TextCache::Key("a", {1, 2}), TextCache::Key("a", {1, 2, 0}));
}

TEST(TextCacheTest, SizeStaysBelowTheCapacityAndTheOldestUseGoes) {
  TextCache cache(2000);
  const std::vector<float> embedding(64, 1);
  for (int i = 0; i < 100; ++i) {
    cache.Insert(absl::StrCat("key-", i), embedding);
    EXPECT_LE(cache.size_bytes(), 2000);
    std::vector<float> values;
    cache.Lookup("key-0", &values);
  }
  std::vector<float> values;
  EXPECT_TRUE(cache.Lookup("key-0", &values));
  EXPECT_TRUE(cache.Lookup("key-99", &values));
  EXPECT_FALSE(cache.Lookup("key-50", &values));
}

TEST(TextCacheTest, WhatIsLargerThanTheCacheIsNotKept) {
  TextCache cache(100);
  cache.Insert("key", std::vector<float>(64, 1));
  std::vector<float> values;
  EXPECT_FALSE(cache.Lookup("key", &values));
  EXPECT_EQ(cache.size_bytes(), 0);
}

}  // namespace
}  // namespace attune::core
