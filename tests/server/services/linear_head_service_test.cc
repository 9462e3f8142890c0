// The knob of versions with a linear head, through the API.

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/safetensors/clip_layout.h"
#include "common/text/tokenizer.h"
#include "gmock/gmock.h"
#include "tests/common/image/fake_files.h"
#include "tests/server/services/fake_worker.h"
#include "tests/server/services/server_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::services {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr int kDimensions = 8;
// The head turns the first two axes by 30° and scales along them.
const double kCos = std::sqrt(3) / 2, kSin = 0.5;
constexpr double kFirst = 3, kSecond = 0.1;

std::vector<double> Turned(const std::vector<float>& x, double t) {
  std::vector<double> result(x.begin(), x.end());
  // Vᵀ x, Sᵗ, V on the plane.
  const double a = std::pow(kFirst, t) * (kCos * x[0] + kSin * x[1]);
  const double b = std::pow(kSecond, t) * (-kSin * x[0] + kCos * x[1]);
  result[0] = kCos * a - kSin * b;
  result[1] = kSin * a + kCos * b;
  return result;
}

std::string HeadFile(const ClipConfig& config) {
  std::vector<float> v(kDimensions * kDimensions, 0), s(kDimensions, 1);
  for (int i = 0; i < kDimensions; ++i) v[i * kDimensions + i] = 1;
  v[0] = static_cast<float>(kCos);
  v[1] = static_cast<float>(-kSin);
  v[kDimensions] = static_cast<float>(kSin);
  v[kDimensions + 1] = static_cast<float>(kCos);
  s[0] = kFirst;
  s[1] = kSecond;
  return core::ClipFile(config, {{kHeadDirections, core::FloatBytes(v)},
                                 {kHeadSingularValues, core::FloatBytes(s)}});
}

std::string Picture() { return image::test::Png(2, 2, 8, 2, "1", ""); }

std::vector<float> TextEmbedding(const std::string& text) {
  return FakeWorker::Embed(text::Tokenizer::Clip().Encode(text), kDimensions);
}

class LinearHeadServiceTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerOptions options;
    options.router.no_worker_wait = absl::Milliseconds(50);
    StartServer(options);
    v1::Version version;
    ASSERT_THAT(Import("base", core::ClipFile(ServedClip()), &version), IsOk());
    ASSERT_THAT(Import("knob", HeadFile(ServedClip()), &version), IsOk());
  }

  absl::Status EmbedText(const std::string& version, std::optional<double> t,
                         v1::EmbedTextsResponse* response) {
    v1::EmbedTextsRequest request;
    request.set_version(version);
    request.add_texts("a dog");
    if (t) request.set_t(*t);
    return Run([&](grpc::ClientContext* context) {
      return inference_->EmbedTexts(context, request, response);
    });
  }

  absl::Status Classify(std::optional<double> t,
                        v1::ClassifyImagesResponse* response) {
    v1::ClassifyImagesRequest request;
    request.set_version("knob");
    request.add_images(Picture());
    for (const char* label : {"dog", "cat", "red ball"}) {
      request.add_labels(label);
    }
    if (t) request.set_t(*t);
    return Run([&](grpc::ClientContext* context) {
      return inference_->ClassifyImages(context, request, response);
    });
  }

  absl::Status Compare(const std::string& version, const std::string& against,
                       v1::CompareResponse* response) {
    v1::CompareRequest request;
    request.set_version(version);
    request.set_against(against);
    request.add_images(Picture());
    request.add_labels("dog");
    request.add_labels("cat");
    request.set_t(0);
    return Run([&](grpc::ClientContext* context) {
      return inference_->Compare(context, request, response);
    });
  }
};

TEST_F(LinearHeadServiceTest, TextsAreTurnedByTheKnobOfEachCall) {
  FakeWorker worker(server_->address(), {});
  const std::vector<float> plain = TextEmbedding("a dog");
  // The second answer comes out of the cache, which knows no t.
  for (const std::optional<double>& t :
       {std::optional<double>(0.5), std::optional<double>(-1),
        std::optional<double>()}) {
    v1::EmbedTextsResponse response;
    ASSERT_THAT(EmbedText("knob", t, &response), IsOk());
    const std::vector<double> expected = Turned(plain, t.value_or(1));
    ASSERT_EQ(response.embeddings(0).values_size(), kDimensions);
    for (int i = 0; i < kDimensions; ++i) {
      EXPECT_NEAR(response.embeddings(0).values(i), expected[i], 1e-5);
    }
  }
  EXPECT_THAT(worker.batch_sizes(), testing::ElementsAre(1));
}

TEST_F(LinearHeadServiceTest, KnobOfZeroGivesTheTowersEmbedding) {
  FakeWorker worker(server_->address(), {});
  v1::EmbedTextsResponse response;
  ASSERT_THAT(EmbedText("knob", 0, &response), IsOk());
  const std::vector<float> plain = TextEmbedding("a dog");
  for (int i = 0; i < kDimensions; ++i) {
    EXPECT_EQ(response.embeddings(0).values(i), plain[i]);
  }
}

TEST_F(LinearHeadServiceTest, ImagesAreTurnedToo) {
  FakeWorker worker(server_->address(), {});
  v1::EmbedImagesRequest request;
  request.set_version("knob");
  request.add_images(Picture());
  request.set_t(2);
  v1::EmbedImagesResponse response;
  ASSERT_THAT(Run([&](grpc::ClientContext* context) {
                return inference_->EmbedImages(context, request, &response);
              }),
              IsOk());
  const std::vector<double> expected =
      Turned(FakeWorker::Embed(Picture(), kDimensions), 2);
  for (int i = 0; i < kDimensions; ++i) {
    EXPECT_NEAR(response.embeddings(0).values(i), expected[i], 1e-5);
  }
}

TEST_F(LinearHeadServiceTest, LogitsFollowTheKnobAndLabelsAreEmbeddedOnce) {
  FakeWorker worker(server_->address(), {});
  const std::vector<float> image = FakeWorker::Embed(Picture(), kDimensions);
  for (const double t : {-0.5, 0.0, 1.0}) {
    v1::ClassifyImagesResponse response;
    ASSERT_THAT(Classify(t, &response), IsOk());
    ASSERT_EQ(response.classifications(0).scores_size(), 3);
    for (const v1::LabelScore& score : response.classifications(0).scores()) {
      const std::vector<double> f = Turned(image, t);
      const std::vector<double> g = Turned(TextEmbedding(score.label()), t);
      double logit = 0;
      for (int i = 0; i < kDimensions; ++i) logit += f[i] * g[i];
      EXPECT_NEAR(score.logit(), std::exp(2.0) * logit, 1e-4) << t;
    }
  }
  // A batch of labels and three of the image.
  EXPECT_EQ(worker.batch_sizes().size(), 4u);
}

TEST_F(LinearHeadServiceTest, KnobOfAVersionWithoutAHeadIsRefusedNamingIt) {
  FakeWorker worker(server_->address(), {});
  v1::EmbedTextsResponse response;
  const absl::Status status = EmbedText("base", 0.5, &response);
  EXPECT_THAT(status, HasError(kInvalid, "NO_LINEAR_HEAD"));
  ASSERT_EQ(ErrorFields(status).size(), 1u);
  EXPECT_EQ(ErrorFields(status)[0].field, "t");
  EXPECT_THAT(EmbedText("knob", 5, &response),
              HasError(kInvalid, "INVALID_FIELD"));
}

TEST_F(LinearHeadServiceTest, CompareTurnsTheVersionThatHasAHead) {
  FakeWorker worker(server_->address(), {});
  v1::CompareResponse response;
  ASSERT_THAT(Compare("knob", "base", &response), IsOk());
  // The two differ in nothing but the head, which 0 takes away.
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(response.answer().classifications(0).scores(i).logit(),
              response.against_answer().classifications(0).scores(i).logit());
  }
  EXPECT_THAT(Compare("base", "base", &response),
              HasError(kInvalid, "NO_LINEAR_HEAD"));
}

}  // namespace
}  // namespace attune::services
