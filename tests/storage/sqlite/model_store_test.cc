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
using ::testing::Pair;

Model NamedModel(const std::string& name) {
  Model model;
  model.name = name;
  model.create_time = absl::FromUnixNanos(1'700'000'000'123'456'789);
  return model;
}

Version VersionOf(const std::string& model, const std::string& digest) {
  Version version;
  version.model = model;
  version.digest = digest;
  return version;
}

TensorManifest OneTensor(const std::string& blob) {
  return {TensorEntry{"logit_scale", DataType::kFloat32, {}, blob, 4}};
}

std::vector<int32_t> Numbers(
    const absl::StatusOr<std::vector<Version>>& versions) {
  EXPECT_THAT(versions, IsOk());
  std::vector<int32_t> numbers;
  if (!versions.ok()) return numbers;
  for (const Version& version : *versions) numbers.push_back(version.number);
  return numbers;
}

// Has the models "clip" and "robust".
class ModelStoreTest : public testing::Test {
 protected:
  ModelStoreTest() {
    Run([](StateTransaction& transaction) {
      EXPECT_THAT(transaction.models().Insert(NamedModel("clip")), IsOk());
      EXPECT_THAT(transaction.models().Insert(NamedModel("robust")), IsOk());
    });
  }
  template <typename Body>
  void Run(Body body) {
    Write(*store_, body);
  }
  static int32_t Add(ModelStore& models, const std::string& model,
                     const std::string& digest) {
    const absl::StatusOr<int32_t> number =
        models.AddVersion(VersionOf(model, digest), OneTensor(digest));
    EXPECT_THAT(number, IsOk());
    return number.value_or(-1);
  }

  std::unique_ptr<StateStore> store_ = OpenState();
};

TEST_F(ModelStoreTest, AModelComesBackWithVersionsCountedAndAliases) {
  Run([](StateTransaction& transaction) {
    ModelStore& models = transaction.models();
    EXPECT_EQ(Add(models, "clip", "m1"), 1);
    EXPECT_EQ(Add(models, "clip", "m2"), 2);
    EXPECT_THAT(models.SetAlias("clip", "latest", 2), IsOk());
    EXPECT_THAT(models.SetAlias("clip", "stable", 1), IsOk());
    const absl::StatusOr<Model> model = models.Get("clip");
    ASSERT_THAT(model, IsOk());
    EXPECT_EQ(model->name, "clip");
    EXPECT_EQ(model->create_time, NamedModel("").create_time);
    EXPECT_EQ(model->version_count, 2);
    EXPECT_THAT(model->aliases,
                ElementsAre(Pair("latest", 2), Pair("stable", 1)));
    EXPECT_EQ(models.Get("robust")->version_count, 0);
    EXPECT_THAT(models.Get("robust")->aliases, IsEmpty());
  });
}

TEST_F(ModelStoreTest, ATakenNameIsRefused) {
  Run([](StateTransaction& transaction) {
    EXPECT_THAT(transaction.models().Insert(NamedModel("clip")),
                HasError(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS"));
  });
}

TEST_F(ModelStoreTest, AnUnknownNameIsNotFoundByEveryFunction) {
  const auto not_found = HasError(absl::StatusCode::kNotFound, "NOT_FOUND");
  Run([&](StateTransaction& transaction) {
    ModelStore& models = transaction.models();
    EXPECT_THAT(models.Get("no"), not_found);
    EXPECT_THAT(models.AddVersion(VersionOf("no", "m1"), {}), not_found);
    EXPECT_THAT(models.GetVersion("no", 1), not_found);
    EXPECT_THAT(models.GetVersion("clip", 1), not_found);
    EXPECT_THAT(models.ListVersions("no", 0, 10), not_found);
    EXPECT_THAT(models.GetManifest("no"), not_found);
    EXPECT_THAT(models.SetAlias("no", "latest", 1), not_found);
    EXPECT_THAT(models.SetAlias("clip", "latest", 1), not_found);
    EXPECT_THAT(models.SetAlias("clip", "latest", 0), not_found);
    EXPECT_THAT(models.Delete("no"), not_found);
  });
}

TEST_F(ModelStoreTest, ListsByNameInPages) {
  Run([](StateTransaction& transaction) {
    ModelStore& models = transaction.models();
    Add(models, "robust", "m1");
    EXPECT_THAT(models.SetAlias("robust", "latest", 1), IsOk());
    const auto all = models.List("", 10);
    ASSERT_EQ(all->size(), 2);
    EXPECT_EQ((*all)[0].name, "clip");
    EXPECT_EQ((*all)[1].name, "robust");
    EXPECT_THAT((*all)[1].aliases, ElementsAre(Pair("latest", 1)));
    EXPECT_EQ(models.List("", 1)->size(), 1);
    EXPECT_EQ(models.List("clip", 10)->size(), 1);
  });
}

TEST_F(ModelStoreTest, EveryFieldOfAVersionComesBack) {
  Version version = VersionOf("robust", "m1");
  version.number = 99;  // given by the store
  version.source = VersionSource::kAverage;
  version.create_time = absl::FromUnixNanos(5);
  version.config.image_size = 224;
  version.config.patch_size = 32;
  version.config.vision_width = 768;
  version.config.vision_layers = 12;
  version.config.vision_heads = 11;
  version.config.text_width = 512;
  version.config.text_layers = 10;
  version.config.text_heads = 8;
  version.config.context_length = 77;
  version.config.vocabulary_size = 49'408;
  version.config.embedding_size = 500;
  version.config.activation = Activation::kGelu;
  version.config.pixel_mean = {0.1f, 0.2f, 0.3f};
  version.config.pixel_deviation = {0.4f, 0.5f, 0.6f};
  version.job_id = "job-1";
  version.base = "clip:3";
  version.dataset = "pets";
  version.dataset_digest = "d";
  version.tensor_count = 302;
  version.parameter_count = 151'277'313;
  version.size_bytes = 605'109'252;
  version.own_size_bytes = 352'000'000;
  version.broken_bounds = {"clean_top1 fell by 0.02, more than 0.01"};
  Run([&](StateTransaction& transaction) {
    ModelStore& models = transaction.models();
    EXPECT_EQ(models.AddVersion(version, {}).value_or(0), 1);
    const absl::StatusOr<Version> found = models.GetVersion("robust", 1);
    ASSERT_THAT(found, IsOk());
    EXPECT_EQ(found->model, "robust");
    EXPECT_EQ(found->number, 1);
    EXPECT_EQ(found->source, version.source);
    EXPECT_EQ(found->create_time, version.create_time);
    EXPECT_TRUE(found->config == version.config);
    EXPECT_EQ(found->job_id, "job-1");
    EXPECT_EQ(found->base, "clip:3");
    EXPECT_EQ(found->dataset, "pets");
    EXPECT_EQ(found->dataset_digest, "d");
    EXPECT_EQ(found->digest, "m1");
    EXPECT_EQ(found->tensor_count, 302);
    EXPECT_EQ(found->parameter_count, 151'277'313);
    EXPECT_EQ(found->size_bytes, 605'109'252);
    EXPECT_EQ(found->own_size_bytes, 352'000'000);
    EXPECT_EQ(found->broken_bounds, version.broken_bounds);
  });
}

TEST_F(ModelStoreTest, VersionsAreListedNewestFirstInPages) {
  Run([](StateTransaction& transaction) {
    ModelStore& models = transaction.models();
    for (const char* digest : {"m1", "m2", "m3"}) Add(models, "clip", digest);
    Add(models, "robust", "m4");
    EXPECT_THAT(Numbers(models.ListVersions("clip", 0, 10)),
                ElementsAre(3, 2, 1));
    EXPECT_THAT(Numbers(models.ListVersions("clip", 0, 2)), ElementsAre(3, 2));
    EXPECT_THAT(Numbers(models.ListVersions("clip", 2, 2)), ElementsAre(1));
  });
}

TEST_F(ModelStoreTest, AnAliasMovesAndGoes) {
  Run([](StateTransaction& transaction) {
    ModelStore& models = transaction.models();
    Add(models, "clip", "m1");
    Add(models, "clip", "m2");
    EXPECT_THAT(models.SetAlias("clip", "stable", 1), IsOk());
    EXPECT_THAT(models.SetAlias("clip", "stable", 2), IsOk());
    EXPECT_THAT(models.Get("clip")->aliases, ElementsAre(Pair("stable", 2)));
    EXPECT_THAT(models.SetAlias("clip", "stable", 0), IsOk());
    EXPECT_THAT(models.Get("clip")->aliases, IsEmpty());
  });
}

TEST_F(ModelStoreTest, AManifestIsStoredOnceAndGoesWithItsLastVersion) {
  const TensorManifest manifest = {
      TensorEntry{"a", DataType::kFloat16, {512, 768}, "blob-a", 786'432},
      TensorEntry{"b", DataType::kUint8, {}, "blob-b", 1}};
  Run([&](StateTransaction& transaction) {
    ModelStore& models = transaction.models();
    EXPECT_THAT(models.AddVersion(VersionOf("clip", "m1"), manifest), IsOk());
    EXPECT_THAT(models.AddVersion(VersionOf("robust", "m1"), manifest), IsOk());
    EXPECT_EQ(*models.GetManifest("m1"), manifest);
    EXPECT_THAT(models.Delete("clip"), IsOk());
    EXPECT_EQ(*models.GetManifest("m1"), manifest);
    const std::vector<std::string> digests = {"blob-b", "other", "blob-a"};
    EXPECT_THAT(*transaction.FindReferencedBlobs(digests),
                ElementsAre("blob-b", "blob-a"));
    EXPECT_THAT(models.Delete("robust"), IsOk());
    EXPECT_THAT(models.GetManifest("m1"),
                HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
    EXPECT_THAT(*transaction.FindReferencedBlobs(digests), IsEmpty());
  });
}

// Two versions, m1 and m2, and two datasets.
class EmbeddingsTest : public ModelStoreTest {
 protected:
  EmbeddingsTest() {
    Run([](StateTransaction& transaction) {
      Add(transaction.models(), "clip", "m1");
      Add(transaction.models(), "robust", "m2");
      for (const char* name : {"pets", "cars"}) {
        Dataset dataset;
        dataset.name = name;
        EXPECT_THAT(transaction.datasets().Insert(dataset), IsOk());
      }
    });
  }
  static void AddTo(StateTransaction& transaction, const std::string& digest,
                    const std::string& dataset, const std::string& blob) {
    EXPECT_THAT(
        transaction.models().AddEmbeddings(
            digest, dataset, {.variant = "fp32", .manifest = OneTensor(blob)}),
        IsOk());
  }
  static std::vector<std::string> Blobs(StateTransaction& transaction,
                                        const std::string& digest,
                                        const std::string& dataset,
                                        int limit = 10) {
    const auto all =
        transaction.models().ListEmbeddings(digest, dataset, limit);
    EXPECT_THAT(all, IsOk());
    std::vector<std::string> blobs;
    for (const StoredEmbeddings& embeddings : *all) {
      EXPECT_EQ(embeddings.variant, "fp32");
      blobs.push_back(embeddings.manifest.at(0).blob_digest);
    }
    return blobs;
  }
};

TEST_F(EmbeddingsTest, AreListedByVersionWithTheDatasetsOwnFirst) {
  Run([](StateTransaction& transaction) {
    AddTo(transaction, "m1", "cars", "c1");
    AddTo(transaction, "m1", "pets", "p1");
    AddTo(transaction, "m1", "pets", "p2");
    AddTo(transaction, "m1", "cars", "c2");
    AddTo(transaction, "m2", "pets", "other");
    EXPECT_THAT(Blobs(transaction, "m1", "pets"),
                ElementsAre("p1", "p2", "c2", "c1"));
    EXPECT_THAT(Blobs(transaction, "m1", "pets", 3),
                ElementsAre("p1", "p2", "c2"));
    EXPECT_THAT(Blobs(transaction, "m2", "cars"), ElementsAre("other"));
    const auto not_found = HasError(absl::StatusCode::kNotFound, "NOT_FOUND");
    ModelStore& models = transaction.models();
    EXPECT_THAT(models.ListEmbeddings("none", "pets", 1), not_found);
    EXPECT_THAT(models.ListEmbeddings("m1", "none", 1), not_found);
    EXPECT_THAT(models.AddEmbeddings("none", "pets", {}), not_found);
    EXPECT_THAT(models.AddEmbeddings("m1", "none", {}), not_found);
  });
}

TEST_F(EmbeddingsTest, GoWithTheirDatasetAndWithTheirVersion) {
  Run([](StateTransaction& transaction) {
    AddTo(transaction, "m1", "pets", "p1");
    AddTo(transaction, "m1", "cars", "c1");
    AddTo(transaction, "m2", "cars", "c2");
    const std::vector<std::string> digests = {"p1", "c1", "c2"};
    EXPECT_THAT(*transaction.FindReferencedBlobs(digests),
                ElementsAre("p1", "c1", "c2"));
    EXPECT_THAT(transaction.datasets().Delete("pets"), IsOk());
    EXPECT_THAT(*transaction.FindReferencedBlobs(digests),
                ElementsAre("c1", "c2"));
    EXPECT_THAT(Blobs(transaction, "m1", "cars"), ElementsAre("c1"));
    EXPECT_THAT(transaction.models().Delete("clip"), IsOk());
    EXPECT_THAT(*transaction.FindReferencedBlobs(digests), ElementsAre("c2"));
  });
}

TEST_F(ModelStoreTest, DeleteTakesVersionsAndAliases) {
  Run([](StateTransaction& transaction) {
    ModelStore& models = transaction.models();
    Add(models, "clip", "m1");
    EXPECT_THAT(models.SetAlias("clip", "latest", 1), IsOk());
    EXPECT_THAT(models.Delete("clip"), IsOk());
    EXPECT_THAT(models.Get("clip"),
                HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
    EXPECT_THAT(models.Insert(NamedModel("clip")), IsOk());
    EXPECT_EQ(models.Get("clip")->version_count, 0);
    EXPECT_THAT(models.Get("clip")->aliases, IsEmpty());
  });
}

}  // namespace
}  // namespace attune::storage
