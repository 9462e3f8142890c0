#include "server/core/models/model_registry.h"

#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "common/digest.h"
#include "common/ids.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/core/models/version.h"
#include "storage/sqlite/sqlite_stores.h"
#include "tests/server/core/models/clip_file.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Floats(float value, int count) {
  std::string bytes(count * sizeof(float), '\0');
  for (int i = 0; i < count; ++i) {
    std::memcpy(&bytes[i * sizeof(float)], &value, sizeof(float));
  }
  return bytes;
}

class ModelRegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    state_ = *storage::OpenStateStore(":memory:", {&clock_, nullptr});
    blobs_ = *storage::OpenBlobStore(":memory:", {&clock_, nullptr});
    registry_ = std::make_unique<ModelRegistry>(*state_, *blobs_, clock_,
                                                [this] { ++deletions_; });
  }

  // Imports in pieces of `step` bytes.
  absl::StatusOr<VersionView> Import(absl::string_view model,
                                     const std::string& file,
                                     const RequestKey& key = {},
                                     size_t step = 1000) {
    auto import = registry_->BeginImport(model);
    if (!import.ok()) return import.status();
    for (size_t i = 0; i < file.size(); i += step) {
      absl::Status status =
          (*import)->Append(absl::string_view(file).substr(i, step));
      if (!status.ok()) return status;
    }
    return registry_->CommitImport(model, **import,
                                   static_cast<int64_t>(file.size()),
                                   Sha256Hex(file), key);
  }

  FakeClock clock_;
  std::unique_ptr<storage::StateStore> state_;
  std::unique_ptr<storage::BlobStore> blobs_;
  std::unique_ptr<ModelRegistry> registry_;
  int deletions_ = 0;
};

TEST_F(ModelRegistryTest, ImportMakesVersionOneThenTheNext) {
  const auto first = Import("base", ClipFile(SmallClip()));
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->version.number, 1);
  EXPECT_EQ(first->version.source, storage::VersionSource::kImported);
  EXPECT_EQ(first->version.config.embedding_size, 8);
  EXPECT_EQ(first->version.tensor_count,
            static_cast<int64_t>(ExpectedTensors(SmallClip()).size()));
  EXPECT_EQ(first->version.size_bytes, 4 * first->version.parameter_count);
  EXPECT_THAT(first->aliases, ElementsAre("latest"));

  const auto second = Import("base", ClipFile(SmallClip()));
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->version.number, 2);
  EXPECT_EQ(second->version.digest, first->version.digest);
  EXPECT_EQ(registry_->GetVersion("base")->version.number, 2);
  EXPECT_EQ(registry_->GetVersion("base:1")->version.number, 1);
  EXPECT_THAT(registry_->GetVersion("base:1")->aliases, IsEmpty());
}

TEST_F(ModelRegistryTest, ARepeatedImportLeavesNothingStaged) {
  const std::string file = ClipFile(SmallClip());
  const RequestKey key = {NewUuid(), "content"};
  for (int i = 0; i < 2; ++i) {
    auto import = registry_->BeginImport("base", key.id);
    ASSERT_THAT(import, IsOk());
    ASSERT_THAT((*import)->Append(file), IsOk());
    const auto version = registry_->CommitImport(
        "base", **import, static_cast<int64_t>(file.size()), Sha256Hex(file),
        key);
    ASSERT_THAT(version, IsOk());
    EXPECT_EQ(version->version.number, 1);
  }
  ASSERT_THAT(state_->Write([&](storage::StateTransaction& transaction) {
    EXPECT_EQ(transaction.uploads().Find(key.id)->has_value(), false);
    return absl::OkStatus();
  }),
              IsOk());
}

TEST_F(ModelRegistryTest, AHeadThatCannotBeServedIsRefused) {
  const int d = SmallClip().embedding_size;
  const std::string directions = Floats(0.5f, d * d);
  const auto with_values = [&](float value) {
    return ClipFile(SmallClip(), {{kHeadDirections, directions},
                                  {kHeadSingularValues,
                                   Floats(1, d - 1) + Floats(value, 1)}});
  };
  const auto refused = HasError(kInvalid, "INVALID_HEAD");
  EXPECT_THAT(Import("knob", with_values(0)), refused);
  EXPECT_THAT(Import("knob", with_values(-1)), refused);
  // fp16, and all the same above 0.
  EXPECT_THAT(
      Import("knob",
             ClipFile(SmallClip(),
                      {{kHeadDirections, directions.substr(0, 2 * d * d)},
                       {kHeadSingularValues, Floats(1, d)}},
                      {kHeadDirections})),
      refused);
  EXPECT_THAT(registry_->GetModel("knob"),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
  EXPECT_THAT(Import("knob", with_values(0.5f)), IsOk());
}

TEST_F(ModelRegistryTest, AnyPiecesGiveTheSameVersion) {
  const std::string file = ClipFile(SmallClip());
  const auto whole = Import("whole", file, {}, file.size());
  const auto bytes = Import("bytes", file, {}, 7);
  ASSERT_THAT(whole, IsOk());
  ASSERT_THAT(bytes, IsOk());
  EXPECT_EQ(whole->version.digest, bytes->version.digest);
}

TEST_F(ModelRegistryTest, ExportImportsToTheSameDigest) {
  ClipConfig config = SmallClip();
  config.activation = Activation::kGelu;
  config.pixel_mean = {0.5f, 0.25f, 0.125f};
  const auto imported = Import("base", ClipFile(config));
  ASSERT_THAT(imported, IsOk());
  auto exported = registry_->BeginExport("base@latest");
  ASSERT_THAT(exported, IsOk());
  std::string file;
  while (true) {
    const auto piece = (*exported)->Next(10'000);
    ASSERT_THAT(piece, IsOk());
    if (piece->empty()) break;
    EXPECT_LE(piece->size(), 10'000u);
    file += *piece;
  }
  const auto again = Import("again", file);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->version.digest, imported->version.digest);
  EXPECT_EQ(again->version.config.activation, storage::Activation::kGelu);
  EXPECT_THAT(again->version.config.pixel_mean,
              ElementsAre(0.5f, 0.25f, 0.125f));
}

TEST_F(ModelRegistryTest, AnotherConfigurationIsAnotherDigest) {
  ClipConfig gelu = SmallClip();
  gelu.activation = Activation::kGelu;
  EXPECT_NE(Import("quick", ClipFile(SmallClip()))->version.digest,
            Import("gelu", ClipFile(gelu))->version.digest);
}

TEST_F(ModelRegistryTest, NonFiniteWeightsAreRefusedNamingTheTensor) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                          -std::numeric_limits<float>::infinity()}) {
    std::string bytes = Floats(0.25f, 64);
    std::memcpy(&bytes[63 * sizeof(float)], &bad, sizeof(float));
    const auto result =
        Import("base", ClipFile(SmallClip(), {{"ln_final.weight", bytes}}));
    EXPECT_THAT(result, HasError(kInvalid, "NON_FINITE_WEIGHTS"));
    EXPECT_THAT(std::string(result.status().message()),
                HasSubstr("ln_final.weight"));
  }
  EXPECT_THAT(registry_->GetModel("base"),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

TEST_F(ModelRegistryTest, OtherFormatsAreRefusedPointingToTheConverter) {
  for (const std::string& file :
       {std::string("PK\x03\x04 a zip with a pickle in it ............"),
        std::string("\x80\x02}q\x00(X\x05\x00 a pickle ..................")}) {
    const auto result = Import("base", file);
    EXPECT_THAT(result, HasError(kInvalid, "NOT_SAFETENSORS"));
    EXPECT_THAT(std::string(result.status().message()),
                HasSubstr("attune-convert"));
  }
}

TEST_F(ModelRegistryTest, MissingTensorIsRefusedNamingIt) {
  std::vector<safetensors::TensorInfo> tensors;
  for (const auto& [name, shape] : ExpectedTensors(SmallClip())) {
    if (name == "text_projection") continue;
    tensors.push_back({.name = name, .shape = shape});
  }
  const auto result = Import(
      "base", safetensors::WriteHeader(tensors, ClipMetadata(SmallClip())));
  EXPECT_THAT(result, HasError(kInvalid, "INVALID_CLIP"));
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("text_projection"));
}

TEST_F(ModelRegistryTest, WrongDigestAtTheEndStoresNothing) {
  const std::string file = ClipFile(SmallClip());
  auto import = registry_->BeginImport("base");
  ASSERT_THAT((*import)->Append(file), IsOk());
  EXPECT_THAT(registry_->CommitImport("base", **import,
                                      static_cast<int64_t>(file.size()),
                                      Sha256Hex("another file"), {}),
              HasError(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH"));
  EXPECT_THAT(registry_->GetModel("base"),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

TEST_F(ModelRegistryTest, CutAndOverlongFilesAreRefused) {
  const std::string file = ClipFile(SmallClip());
  for (const size_t size : {size_t{4}, size_t{100}, file.size() - 1}) {
    EXPECT_EQ(Import("base", file.substr(0, size)).status().code(), kInvalid)
        << size;
  }
  EXPECT_THAT(Import("base", file + "x"),
              HasError(kInvalid, "INVALID_SAFETENSORS"));
}

TEST_F(ModelRegistryTest, RepeatedRequestGivesTheFirstVersion) {
  const std::string file = ClipFile(SmallClip());
  const RequestKey key{.id = NewUuid(), .digest = "digest"};
  const auto first = Import("base", file, key);
  const auto again = Import("base", file, key);
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->version.number, 1);
  EXPECT_EQ(registry_->GetModel("base")->version_count, 1);
}

TEST_F(ModelRegistryTest, AliasesAreSetMovedAndRemoved) {
  ASSERT_THAT(Import("base", ClipFile(SmallClip())), IsOk());
  ASSERT_THAT(Import("base", ClipFile(SmallClip())), IsOk());
  ASSERT_THAT(registry_->SetAlias("base", "stable", 1, false, {}), IsOk());
  EXPECT_EQ(registry_->GetVersion("base@stable")->version.number, 1);
  ASSERT_THAT(registry_->SetAlias("base", "stable", 2, false, {}), IsOk());
  EXPECT_THAT(registry_->GetVersion("base:2")->aliases,
              UnorderedElementsAre("latest", "stable"));
  ASSERT_THAT(registry_->SetAlias("base", "stable", 0, false, {}), IsOk());
  EXPECT_THAT(registry_->GetVersion("base@stable"),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

TEST_F(ModelRegistryTest, BadAliasesAreRefused) {
  ASSERT_THAT(Import("base", ClipFile(SmallClip())), IsOk());
  EXPECT_THAT(registry_->SetAlias("base", "latest", 1, false, {}),
              HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(registry_->SetAlias("base", "a/b", 1, false, {}),
              HasError(kInvalid, "INVALID_NAME"));
  EXPECT_THAT(registry_->SetAlias("base", "stable", -1, false, {}),
              HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_EQ(registry_->SetAlias("base", "stable", 7, false, {}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(
      registry_->SetAlias("other", "stable", 1, false, {}).status().code(),
      absl::StatusCode::kNotFound);
}

TEST_F(ModelRegistryTest, ModelInUseIsNotDeleted) {
  ASSERT_THAT(Import("base", ClipFile(SmallClip())), IsOk());
  ASSERT_THAT(state_->Write([](storage::StateTransaction& transaction) {
    storage::Job job;
    job.id = "job-1";
    storage::TrainSpec spec;
    spec.dataset = "pairs";
    spec.base = "base:1";
    spec.output_model = "robust";
    spec.steps = 1;
    job.spec = spec;
    return transaction.jobs().Insert(job);
  }),
              IsOk());
  EXPECT_THAT(registry_->Delete("base", {}),
              HasError(absl::StatusCode::kFailedPrecondition, "MODEL_IN_USE"));
  EXPECT_THAT(registry_->GetModel("base"), IsOk());
  EXPECT_EQ(deletions_, 0);
}

TEST_F(ModelRegistryTest, DeletedModelIsGone) {
  ASSERT_THAT(Import("base", ClipFile(SmallClip())), IsOk());
  ASSERT_THAT(registry_->Delete("base", {}), IsOk());
  EXPECT_EQ(deletions_, 1);
  EXPECT_THAT(registry_->GetVersion("base:1"),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
  EXPECT_THAT(registry_->Delete("base", {}),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

TEST_F(ModelRegistryTest, SharedTensorsCountOnceInOwnBytes) {
  const auto base = Import("base", ClipFile(SmallClip()));
  ASSERT_THAT(base, IsOk());
  const auto other = Import(
      "other", ClipFile(SmallClip(), {{"logit_scale", Floats(3.0f, 1)}}));
  ASSERT_THAT(other, IsOk());
  storage::Version tuned = other->version;
  tuned.model = "tuned";
  tuned.base = "base:1";
  ASSERT_THAT(state_->Write([&](storage::StateTransaction& transaction)
                                -> absl::Status {
    auto manifest = transaction.models().GetManifest(other->version.digest);
    if (!manifest.ok()) return manifest.status();
    return AddVersion(transaction, tuned, *manifest, true).status();
  }),
              IsOk());
  const auto stored = registry_->GetVersion("tuned");
  ASSERT_THAT(stored, IsOk());
  EXPECT_EQ(stored->version.own_size_bytes, 4);
  EXPECT_EQ(stored->version.size_bytes, base->version.size_bytes);
}

TEST(FiniteCheckTest, FindsBadValuesOfEachTypeAcrossPieces) {
  const auto check = [](storage::DataType type, const std::string& bytes,
                        size_t step) {
    FiniteCheck finite(type);
    for (size_t i = 0; i < bytes.size(); i += step) {
      if (!finite.Append(absl::string_view(bytes).substr(i, step))) {
        return false;
      }
    }
    return true;
  };
  const std::string good(64, '\x11');
  std::string half = good, brain = good, full = good;
  half.replace(30, 2, std::string("\x00\x7C", 2));          // +∞
  brain.replace(30, 2, std::string("\xC0\xFF", 2));         // NaN
  full.replace(32, 4, std::string("\x00\x00\x80\xFF", 4));  // −∞
  for (const size_t step : {1, 2, 3, 5, 64}) {
    EXPECT_TRUE(check(storage::DataType::kFloat16, good, step));
    EXPECT_TRUE(check(storage::DataType::kBfloat16, good, step));
    EXPECT_TRUE(check(storage::DataType::kFloat32, good, step));
    EXPECT_FALSE(check(storage::DataType::kFloat16, half, step));
    EXPECT_FALSE(check(storage::DataType::kBfloat16, brain, step));
    EXPECT_FALSE(check(storage::DataType::kFloat32, full, step));
    EXPECT_TRUE(check(storage::DataType::kInt64, full, step));
  }
}

}  // namespace
}  // namespace attune::core
