#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/status_matchers.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Dataset NamedDataset(const std::string& name) {
  Dataset dataset;
  dataset.name = name;
  dataset.create_time = absl::FromUnixNanos(1'700'000'000'123'456'789);
  return dataset;
}

Example Clean(const std::string& digest, int64_t size) {
  Example example;
  example.kind = ExampleKind::kClean;
  example.image_digest = digest;
  example.image_size_bytes = size;
  return example;
}

Example Pair(const std::string& digest, int64_t size, const std::string& clean,
             int64_t clean_size) {
  Example example = Clean(digest, size);
  example.kind = ExampleKind::kPair;
  example.text = "a dog";
  example.other_text = "a cat";
  example.clean_image_digest = clean;
  example.clean_image_size_bytes = clean_size;
  return example;
}

class DatasetStoreTest : public testing::Test {
 protected:
  DatasetStoreTest() {
    Write(*store_, [](StateTransaction& transaction) {
      EXPECT_THAT(transaction.datasets().Insert(NamedDataset("pets")), IsOk());
    });
  }

  // Adds examples to "pets".
  void Add(const std::vector<Example>& examples) {
    Write(*store_, [&](StateTransaction& transaction) {
      EXPECT_THAT(transaction.datasets().AddExamples("pets", examples), IsOk());
    });
  }
  void Remove(const std::vector<int64_t>& ids) {
    Write(*store_, [&](StateTransaction& transaction) {
      EXPECT_THAT(transaction.datasets().DeleteExamples("pets", ids), IsOk());
    });
  }
  Dataset Get(const std::string& name = "pets") {
    Dataset dataset;
    Read(*store_, [&](StateTransaction& transaction) {
      absl::StatusOr<Dataset> found = transaction.datasets().Get(name);
      ASSERT_THAT(found, IsOk());
      dataset = *std::move(found);
    });
    return dataset;
  }
  std::vector<Example> Examples(int64_t after = 0, int limit = 1000) {
    std::vector<Example> examples;
    Read(*store_, [&](StateTransaction& transaction) {
      absl::StatusOr<std::vector<Example>> found =
          transaction.datasets().ListExamples("pets", after, limit);
      ASSERT_THAT(found, IsOk());
      examples = *std::move(found);
    });
    return examples;
  }

  std::unique_ptr<StateStore> store_ = OpenState();
};

TEST_F(DatasetStoreTest, EveryFieldComesBack) {
  Dataset dataset = NamedDataset("full");
  dataset.state = DatasetState::kInvalid;
  dataset.seal_time = dataset.create_time + absl::Nanoseconds(7);
  dataset.candidates = {"a \"dog\"", "Katze\n", "猫"};
  dataset.candidates_named = true;
  dataset.digest = "abc";
  dataset.invalid_examples = {{3, "truncated"}, {9, "no \"marker\""}};
  dataset.invalid_example_count = 2000;
  Write(*store_, [&](StateTransaction& transaction) {
    EXPECT_THAT(transaction.datasets().Insert(dataset), IsOk());
  });
  const Dataset found = Get("full");
  EXPECT_EQ(found.state, DatasetState::kInvalid);
  EXPECT_EQ(found.create_time, dataset.create_time);
  EXPECT_EQ(found.seal_time, dataset.seal_time);
  EXPECT_EQ(found.candidates, dataset.candidates);
  EXPECT_TRUE(found.candidates_named);
  EXPECT_EQ(found.digest, "abc");
  ASSERT_EQ(found.invalid_examples.size(), 2);
  EXPECT_EQ(found.invalid_examples[1].example, 9);
  EXPECT_EQ(found.invalid_examples[1].reason, "no \"marker\"");
  EXPECT_EQ(found.invalid_example_count, 2000);
}

TEST_F(DatasetStoreTest, ATakenNameIsRefused) {
  Write(*store_, [](StateTransaction& transaction) {
    EXPECT_THAT(transaction.datasets().Insert(NamedDataset("pets")),
                HasError(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS"));
  });
}

TEST_F(DatasetStoreTest, AnUnknownNameIsNotFoundByEveryFunction) {
  const auto not_found = HasError(absl::StatusCode::kNotFound, "NOT_FOUND");
  Write(*store_, [&](StateTransaction& transaction) {
    DatasetStore& datasets = transaction.datasets();
    EXPECT_THAT(datasets.Get("no"), not_found);
    EXPECT_THAT(datasets.Update(NamedDataset("no")), not_found);
    EXPECT_THAT(datasets.AddExamples("no", {}), not_found);
    EXPECT_THAT(datasets.ListExamples("no", 0, 1), not_found);
    EXPECT_THAT(datasets.DeleteExamples("no", {}), not_found);
    EXPECT_THAT(datasets.DistinctTexts("no", 1), not_found);
    EXPECT_THAT(datasets.Delete("no"), not_found);
  });
}

TEST_F(DatasetStoreTest, UpdateKeepsCountsAndImageBytes) {
  Add({Clean("i1", 10)});
  Dataset dataset = NamedDataset("pets");
  dataset.state = DatasetState::kSealed;
  dataset.counts.pair = 77;
  dataset.image_bytes = 77;
  Write(*store_, [&](StateTransaction& transaction) {
    EXPECT_THAT(transaction.datasets().Update(dataset), IsOk());
  });
  EXPECT_EQ(Get().state, DatasetState::kSealed);
  EXPECT_EQ(Get().counts.pair, 0);
  EXPECT_EQ(Get().counts.clean, 1);
  EXPECT_EQ(Get().image_bytes, 10);
}

TEST_F(DatasetStoreTest, ListsByNameInPages) {
  Write(*store_, [](StateTransaction& transaction) {
    for (const char* name : {"zebra", "apple", "mango"}) {
      EXPECT_THAT(transaction.datasets().Insert(NamedDataset(name)), IsOk());
    }
  });
  std::vector<std::string> names;
  Read(*store_, [&](StateTransaction& transaction) {
    for (std::string after; true; after = names.back()) {
      auto page = transaction.datasets().List(after, 3);
      ASSERT_THAT(page, IsOk());
      for (const Dataset& dataset : *page) names.push_back(dataset.name);
      if (page->size() < 3) return;
    }
  });
  EXPECT_THAT(names, ElementsAre("apple", "mango", "pets", "zebra"));
}

TEST_F(DatasetStoreTest, ExamplesComeBackInOrderWithEveryField) {
  Example caption = Clean("i3", 30);
  caption.kind = ExampleKind::kCaption;
  caption.text = "two dogs";
  caption.attributes = {{"source", "web"}, {"quote", "\"'\\"}};
  caption.caption_attributes = {{"colour", "red"}};
  Add({Pair("i1", 10, "i2", 20), Clean("i2", 20)});
  Add({caption});
  const std::vector<Example> examples = Examples();
  ASSERT_EQ(examples.size(), 3);
  EXPECT_EQ(examples[0].id, 1);
  EXPECT_EQ(examples[0].kind, ExampleKind::kPair);
  EXPECT_EQ(examples[0].image_digest, "i1");
  EXPECT_EQ(examples[0].image_size_bytes, 10);
  EXPECT_EQ(examples[0].clean_image_digest, "i2");
  EXPECT_EQ(examples[0].clean_image_size_bytes, 20);
  EXPECT_EQ(examples[0].text, "a dog");
  EXPECT_EQ(examples[0].other_text, "a cat");
  EXPECT_THAT(examples[0].attributes, IsEmpty());
  EXPECT_EQ(examples[1].id, 2);
  EXPECT_EQ(examples[1].clean_image_digest, "");
  EXPECT_EQ(examples[1].clean_image_size_bytes, 0);
  EXPECT_EQ(examples[2].id, 3);
  EXPECT_EQ(examples[2].text, "two dogs");
  EXPECT_EQ(examples[2].attributes, caption.attributes);
  EXPECT_EQ(examples[2].caption_attributes, caption.caption_attributes);

  ASSERT_EQ(Examples(1, 1).size(), 1);
  EXPECT_EQ(Examples(1, 1)[0].id, 2);
  EXPECT_THAT(Examples(3), IsEmpty());
}

TEST_F(DatasetStoreTest, ADistinctImageCountsOnce) {
  Example labelled = Clean("i1", 10);
  labelled.kind = ExampleKind::kLabelled;
  labelled.text = "dog";
  Add({Pair("i1", 10, "twin", 5), Pair("i2", 20, "twin", 5)});
  Add({Clean("twin", 5), labelled});
  const Dataset dataset = Get();
  EXPECT_EQ(dataset.image_bytes, 35);
  EXPECT_EQ(dataset.counts.pair, 2);
  EXPECT_EQ(dataset.counts.clean, 1);
  EXPECT_EQ(dataset.counts.labelled, 1);
  EXPECT_EQ(dataset.counts.caption, 0);
}

TEST_F(DatasetStoreTest, DeletedExamplesTakeTheirUnsharedImagesAlong) {
  Add({Pair("i1", 10, "twin", 5), Pair("i2", 20, "twin", 5), Clean("i3", 40)});
  Remove({1, 3, 3, 99});
  EXPECT_EQ(Get().image_bytes, 25);
  EXPECT_EQ(Get().counts.pair, 1);
  EXPECT_EQ(Get().counts.clean, 0);
  Read(*store_, [](StateTransaction& transaction) {
    const std::vector<std::string> digests = {"i1", "i2", "i3", "twin"};
    auto referenced = transaction.FindReferencedBlobs(digests);
    ASSERT_THAT(referenced, IsOk());
    EXPECT_THAT(*referenced, ElementsAre("i2", "twin"));
  });
}

TEST_F(DatasetStoreTest, IdsAreNotGivenAgain) {
  Add({Clean("i1", 1), Clean("i2", 1)});
  Remove({2});
  Add({Clean("i3", 1)});
  const std::vector<Example> examples = Examples();
  ASSERT_EQ(examples.size(), 2);
  EXPECT_EQ(examples[1].id, 3);
}

TEST_F(DatasetStoreTest, DistinctTextsAreSortedAndWithoutTheEmptyOne) {
  Example labelled = Clean("i1", 1);
  labelled.kind = ExampleKind::kLabelled;
  labelled.text = "zebra";
  labelled.other_text = "a dog";
  Add({Pair("i2", 1, "", 0), labelled, Clean("i3", 1)});
  Read(*store_, [](StateTransaction& transaction) {
    auto texts = transaction.datasets().DistinctTexts("pets", 10);
    ASSERT_THAT(texts, IsOk());
    EXPECT_THAT(*texts, ElementsAre("a cat", "a dog", "zebra"));
    texts = transaction.datasets().DistinctTexts("pets", 2);
    ASSERT_THAT(texts, IsOk());
    EXPECT_THAT(*texts, ElementsAre("a cat", "a dog"));
  });
}

TEST_F(DatasetStoreTest, DeleteTakesTheExamplesAndLeavesOtherDatasets) {
  Add({Clean("i1", 1), Clean("shared", 1)});
  Write(*store_, [](StateTransaction& transaction) {
    DatasetStore& datasets = transaction.datasets();
    EXPECT_THAT(datasets.Insert(NamedDataset("other")), IsOk());
    EXPECT_THAT(datasets.AddExamples("other", {Clean("shared", 1)}), IsOk());
    EXPECT_THAT(datasets.Delete("pets"), IsOk());
    EXPECT_THAT(datasets.Get("pets"),
                HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
    const std::vector<std::string> digests = {"i1", "shared"};
    auto referenced = transaction.FindReferencedBlobs(digests);
    ASSERT_THAT(referenced, IsOk());
    EXPECT_THAT(*referenced, ElementsAre("shared"));
    EXPECT_EQ(datasets.ListExamples("other", 0, 10)->size(), 1);
  });
}

}  // namespace
}  // namespace attune::storage
