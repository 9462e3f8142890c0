#include "server/core/models/linear_head.h"

#include <cmath>
#include <limits>
#include <memory>
#include <random>

#include "common/digest.h"
#include "common/error.h"
#include "common/safetensors/clip_layout.h"
#include "gtest/gtest.h"
#include "storage/sqlite/sqlite_stores.h"
#include "tests/server/core/models/clip_file.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;

constexpr int kSize = 7;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

// An orthogonal V: a product of plane rotations.
LinearHead RandomHead() {
  std::mt19937 generator(4);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<double> v(kSize * kSize, 0);
  for (int i = 0; i < kSize; ++i) v[i * kSize + i] = 1;
  for (int i = 0; i < kSize; ++i) {
    for (int j = i + 1; j < kSize; ++j) {
      const double angle = 6.28 * uniform(generator);
      for (int row = 0; row < kSize; ++row) {
        double& a = v[row * kSize + i];
        double& b = v[row * kSize + j];
        const double rotated = std::cos(angle) * a - std::sin(angle) * b;
        b = std::sin(angle) * a + std::cos(angle) * b;
        a = rotated;
      }
    }
  }
  LinearHead head;
  head.dimensions = kSize;
  head.v.assign(v.begin(), v.end());
  for (int i = 0; i < kSize; ++i) {
    head.s.push_back(static_cast<float>(0.2 + uniform(generator)));
  }
  return head;
}

std::vector<float> RandomRows(int count) {
  std::mt19937 generator(5);
  std::normal_distribution<float> normal;
  std::vector<float> rows(count * kSize);
  for (float& value : rows) value = normal(generator);
  return rows;
}

double Dot(const float* a, const float* b) {
  double sum = 0;
  for (int i = 0; i < kSize; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

TEST(LinearHead, RowsBecomeTheFormulaInDouble) {
  const LinearHead head = RandomHead();
  for (const double t : {-1.0, 0.5, 1.0, 2.0}) {
    const std::vector<float> rows = RandomRows(3);
    std::vector<float> applied = rows;
    head.Apply(t, absl::MakeSpan(applied));
    for (int row = 0; row < 3; ++row) {
      for (int i = 0; i < kSize; ++i) {
        double expected = 0;
        for (int j = 0; j < kSize; ++j) {
          double inner = 0;
          for (int k = 0; k < kSize; ++k) {
            inner += static_cast<double>(head.v[k * kSize + j]) *
                     rows[row * kSize + k];
          }
          expected += head.v[i * kSize + j] *
                      std::pow(static_cast<double>(head.s[j]), t) * inner;
        }
        EXPECT_NEAR(applied[row * kSize + i], expected,
                    1e-5 * std::max(1.0, std::abs(expected)));
      }
    }
  }
}

TEST(LinearHead, KnobOfZeroChangesNothing) {
  const std::vector<float> rows = RandomRows(2);
  std::vector<float> applied = rows;
  RandomHead().Apply(0, absl::MakeSpan(applied));
  EXPECT_EQ(applied, rows);
}

TEST(LinearHead, BothSidesAtTAreOneSideAtTwoT) {
  const LinearHead head = RandomHead();
  for (const double t : {-0.5, 0.25, 1.0}) {
    std::vector<float> image = RandomRows(2);
    std::vector<float> text(image.begin() + kSize, image.end());
    image.resize(kSize);
    std::vector<float> twice = image;
    head.Apply(2 * t, absl::MakeSpan(twice));
    const double one_side = Dot(twice.data(), text.data());
    head.Apply(t, absl::MakeSpan(image));
    head.Apply(t, absl::MakeSpan(text));
    EXPECT_NEAR(Dot(image.data(), text.data()), one_side,
                1e-4 * std::max(1.0, std::abs(one_side)));
  }
}

class ReadLinearHeadTest : public testing::Test {
 protected:
  storage::TensorEntry Store(const std::string& name,
                             const std::vector<float>& values,
                             std::vector<int64_t> shape) {
    const std::string bytes = FloatBytes(values);
    const std::string digest = Sha256Hex(bytes);
    const storage::BlobView view = {digest, bytes};
    EXPECT_THAT(blobs_->Put({&view, 1}), IsOk());
    return {.name = name,
            .data_type = storage::DataType::kFloat32,
            .shape = std::move(shape),
            .blob_digest = digest,
            .size_bytes = static_cast<int64_t>(bytes.size())};
  }

  std::unique_ptr<storage::BlobStore> blobs_ =
      *storage::OpenBlobStore(":memory:");
};

TEST_F(ReadLinearHeadTest, AVersionWithoutOneHasNone) {
  const auto head = ReadLinearHead({}, *blobs_);
  ASSERT_THAT(head, IsOk());
  EXPECT_FALSE(head->has_value());
}

TEST_F(ReadLinearHeadTest, BothTensorsAreRead) {
  const storage::TensorManifest manifest = {
      Store(kHeadSingularValues, {2, 3}, {2}),
      Store(kHeadDirections, {0, 1, -1, 0}, {2, 2})};
  const auto head = ReadLinearHead(manifest, *blobs_);
  ASSERT_THAT(head, IsOk());
  ASSERT_TRUE(head->has_value());
  EXPECT_EQ((*head)->dimensions, 2);
  EXPECT_EQ((*head)->v, (std::vector<float>{0, 1, -1, 0}));
  EXPECT_EQ((*head)->s, (std::vector<float>{2, 3}));
}

TEST_F(ReadLinearHeadTest, WhatCannotBeUsedIsDataLoss) {
  const auto v = Store(kHeadDirections, {0, 1, -1, 0}, {2, 2});
  EXPECT_THAT(ReadLinearHead({v}, *blobs_),
              HasError(kDataLoss, "INVALID_HEAD"));
  for (const std::vector<float>& s :
       {std::vector<float>{1, 0}, std::vector<float>{1, -1},
        std::vector<float>{1, std::numeric_limits<float>::quiet_NaN()},
        std::vector<float>{1, 2, 3}}) {
    const auto values =
        Store(kHeadSingularValues, s, {static_cast<int64_t>(s.size())});
    EXPECT_THAT(ReadLinearHead({values, v}, *blobs_),
                HasError(kDataLoss, "INVALID_HEAD"));
  }
}

TEST(ResolveKnob, DefaultsToWhatWasTrained) {
  EXPECT_EQ(*ResolveKnob(true, std::nullopt, "t"), 1);
  EXPECT_EQ(*ResolveKnob(true, 0.5, "t"), 0.5);
  EXPECT_EQ(*ResolveKnob(true, 0, "t"), 0);
  EXPECT_EQ(*ResolveKnob(false, std::nullopt, "t"), 0);
}

TEST(ResolveKnob, IsRefusedWithoutAHeadAndOutOfRange) {
  const absl::Status status = ResolveKnob(false, 0.5, "t").status();
  EXPECT_THAT(status, HasError(kInvalid, "NO_LINEAR_HEAD"));
  EXPECT_EQ(ErrorFields(status)[0].field, "t");
  for (const double t : {-4.1, 4.1, std::nan(""), HUGE_VAL}) {
    EXPECT_THAT(ResolveKnob(true, t, "t"), HasError(kInvalid, "INVALID_FIELD"));
  }
}

}  // namespace
}  // namespace attune::core
