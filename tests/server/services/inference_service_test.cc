#include <cmath>
#include <future>
#include <numeric>
#include <string>
#include <vector>

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
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::Pointwise;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr int kDimensions = 8;

// A picture whose header is good; the fake worker reads no further.
std::string Picture(int number, absl::string_view chunk = "") {
  return image::test::Png(2, 2, 8, 2, absl::StrCat(number), chunk);
}

std::vector<float> TextEmbedding(const std::string& text) {
  return FakeWorker::Embed(text::Tokenizer::Clip().Encode(text), kDimensions);
}

std::vector<float> Values(const v1::Embedding& embedding) {
  return {embedding.values().begin(), embedding.values().end()};
}

class InferenceServiceTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerOptions options;
    options.router.no_worker_wait = absl::Milliseconds(50);
    StartServer(options);
    v1::Version version;
    ASSERT_THAT(Import("base", core::ClipFile(ServedClip()), &version), IsOk());
  }

  absl::Status EmbedTexts(const std::vector<std::string>& texts,
                          v1::EmbedTextsResponse* response,
                          const std::string& version = "base",
                          bool truncate = false) {
    v1::EmbedTextsRequest request;
    request.set_version(version);
    request.mutable_texts()->Assign(texts.begin(), texts.end());
    request.set_truncate(truncate);
    return Run([&](grpc::ClientContext* context) {
      return inference_->EmbedTexts(context, request, response);
    });
  }

  absl::Status EmbedImages(const std::vector<std::string>& images,
                           v1::EmbedImagesResponse* response) {
    v1::EmbedImagesRequest request;
    request.set_version("base");
    request.mutable_images()->Assign(images.begin(), images.end());
    return Run([&](grpc::ClientContext* context) {
      return inference_->EmbedImages(context, request, response);
    });
  }

  v1::ClassifyImagesRequest Question() {
    v1::ClassifyImagesRequest request;
    request.set_version("base");
    request.add_images(Picture(1));
    for (const char* label : {"dog", "cat", "red ball"}) {
      request.add_labels(label);
    }
    return request;
  }

  absl::Status Classify(const v1::ClassifyImagesRequest& request,
                        v1::ClassifyImagesResponse* response) {
    return Run([&](grpc::ClientContext* context) {
      return inference_->ClassifyImages(context, request, response);
    });
  }
};

TEST_F(InferenceServiceTest, TextsAreEmbeddedThenAnsweredFromTheCache) {
  v1::EmbedTextsResponse first, again;
  {
    FakeWorker worker(server_->address(), {});
    ASSERT_THAT(EmbedTexts({"a dog", "a cat", "a dog"}, &first), IsOk());
    EXPECT_THAT(worker.batch_sizes(), ElementsAreArray({2}));
  }
  EXPECT_EQ(first.version(), "base:1");
  ASSERT_EQ(first.embeddings_size(), 3);
  EXPECT_EQ(Values(first.embeddings(0)), TextEmbedding("a dog"));
  EXPECT_EQ(Values(first.embeddings(1)), TextEmbedding("a cat"));
  EXPECT_EQ(Values(first.embeddings(2)), TextEmbedding("a dog"));
  // No worker is left to ask.
  ASSERT_THAT(EmbedTexts({"a cat", "a dog"}, &again, "base@latest"), IsOk());
  EXPECT_EQ(Values(again.embeddings(0)), TextEmbedding("a cat"));
  EXPECT_THAT(EmbedTexts({"a bird"}, &again),
              HasError(absl::StatusCode::kUnavailable, "NO_WORKER"));
}

TEST_F(InferenceServiceTest, NewVersionIsNotAnsweredFromTheOldOnesCache) {
  FakeWorker worker(server_->address(), {});
  v1::EmbedTextsResponse response;
  ASSERT_THAT(EmbedTexts({"a dog"}, &response), IsOk());
  ASSERT_THAT(EmbedTexts({"a dog"}, &response), IsOk());
  EXPECT_EQ(worker.batch_sizes().size(), 1u);
  ClipConfig other = ServedClip();
  other.activation = Activation::kGelu;
  v1::Version version;
  ASSERT_THAT(Import("base", core::ClipFile(other), &version), IsOk());
  response.Clear();
  ASSERT_THAT(EmbedTexts({"a dog"}, &response), IsOk());
  EXPECT_EQ(response.version(), "base:2");
  EXPECT_EQ(worker.batch_sizes().size(), 2u);
}

TEST_F(InferenceServiceTest, BadTextsAreRefusedNamingThem) {
  v1::EmbedTextsResponse response;
  std::string long_text;
  for (int i = 0; i < 20; ++i) long_text += "dog ";
  absl::Status status = EmbedTexts({"fine", long_text}, &response);
  EXPECT_THAT(status, HasError(kInvalid, "TEXT_TOO_LONG"));
  EXPECT_EQ(ErrorFields(status).at(0).field, "texts[1]");
  status = EmbedTexts({" ", "fine", std::string("a\0b", 3)}, &response);
  EXPECT_THAT(status, HasError(kInvalid, "INVALID_TEXT"));
  EXPECT_EQ(ErrorFields(status).size(), 2u);
  EXPECT_THAT(EmbedTexts({}, &response), HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(EmbedTexts(std::vector<std::string>(10'001, "x"), &response),
              HasError(kInvalid, "INVALID_FIELD"));
  FakeWorker worker(server_->address(), {});
  EXPECT_THAT(EmbedTexts({long_text}, &response, "base", /*truncate=*/true),
              IsOk());
}

TEST_F(InferenceServiceTest, UnknownVersionsAreNotFound) {
  v1::EmbedTextsResponse response;
  for (const char* version : {"other", "base:2", "base@stable"}) {
    EXPECT_THAT(EmbedTexts({"x"}, &response, version),
                HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
  }
  EXPECT_THAT(EmbedTexts({"x"}, &response, "a/b"),
              HasError(kInvalid, "INVALID_SELECTOR"));
}

TEST_F(InferenceServiceTest, BadImageFailsItsOwnItem) {
  FakeWorker worker(server_->address(), {});
  v1::EmbedImagesResponse response;
  ASSERT_THAT(
      EmbedImages({Picture(1), "GIF89a....", Picture(2),
                   Picture(3, image::test::PngChunk("tEXt", "damaged")), ""},
                  &response),
      IsOk());
  ASSERT_EQ(response.embeddings_size(), 5);
  EXPECT_EQ(Values(response.embeddings(0)),
            FakeWorker::Embed(Picture(1), kDimensions));
  EXPECT_EQ(Values(response.embeddings(2)),
            FakeWorker::Embed(Picture(2), kDimensions));
  for (int bad : {1, 3, 4}) {
    EXPECT_EQ(response.embeddings(bad).values_size(), 0);
    EXPECT_EQ(response.embeddings(bad).error().code(), 3);
    EXPECT_EQ(response.embeddings(bad).error().reason(), "INVALID_IMAGE");
  }
  // The worker saw the three whose headers are good.
  EXPECT_THAT(worker.batch_sizes(), ElementsAreArray({3}));
}

TEST_F(InferenceServiceTest, ClassificationEqualsAnIndependentSoftmax) {
  FakeWorker worker(server_->address(), {});
  v1::ClassifyImagesRequest request = Question();
  request.add_templates("a photo of a {}.");
  request.add_templates("the {}!");
  v1::ClassifyImagesResponse response;
  ASSERT_THAT(Classify(request, &response), IsOk());
  const std::vector<float> picture = FakeWorker::Embed(Picture(1), kDimensions);
  std::vector<double> weight;
  double sum = 0;
  for (const std::string& label : request.labels()) {
    const auto a = TextEmbedding("a photo of a " + label + ".");
    const auto b = TextEmbedding("the " + label + "!");
    double dot = 0, square = 0;
    for (int d = 0; d < kDimensions; ++d) {
      const double mean = (static_cast<double>(a[d]) + b[d]) / 2;
      dot += mean * picture[d];
      square += mean * mean;
    }
    // ClipFile's logit_scale is 2.
    weight.push_back(std::exp(std::exp(2.0) * dot / std::sqrt(square)));
    sum += weight.back();
  }
  ASSERT_EQ(response.classifications_size(), 1);
  const auto& scores = response.classifications(0).scores();
  ASSERT_EQ(scores.size(), 3);
  for (int i = 0; i < scores.size(); ++i) {
    const int label = scores[i].label_index();
    EXPECT_EQ(scores[i].label(), request.labels(label));
    EXPECT_NEAR(scores[i].probability(), weight[label] / sum, 1e-6);
    EXPECT_NEAR(scores[i].logit(), std::log(weight[label]), 1e-5);
    if (i > 0) {
      EXPECT_LE(scores[i].probability(), scores[i - 1].probability());
    }
  }
}

TEST_F(InferenceServiceTest, LabelsAskedAgainCostNoTexts) {
  FakeWorker worker(server_->address(), {});
  v1::ClassifyImagesResponse first, again;
  ASSERT_THAT(Classify(Question(), &first), IsOk());
  const size_t batches = worker.batch_sizes().size();
  ASSERT_THAT(Classify(Question(), &again), IsOk());
  EXPECT_EQ(worker.batch_sizes().size(), batches + 1);  // the picture
  EXPECT_EQ(first.SerializeAsString(), again.SerializeAsString());
}

TEST_F(InferenceServiceTest, BadQuestionsAreRefused) {
  v1::ClassifyImagesResponse response;
  v1::ClassifyImagesRequest request = Question();
  request.add_labels("dog");
  EXPECT_THAT(Classify(request, &response),
              HasError(kInvalid, "INVALID_LABELS"));
  request = Question();
  request.clear_labels();
  EXPECT_THAT(Classify(request, &response),
              HasError(kInvalid, "INVALID_LABELS"));
  request = Question();
  request.add_templates("no placeholder");
  EXPECT_THAT(Classify(request, &response),
              HasError(kInvalid, "INVALID_TEMPLATES"));
  request = Question();
  request.set_top_k(-1);
  EXPECT_THAT(Classify(request, &response),
              HasError(kInvalid, "INVALID_FIELD"));
  request = Question();
  request.clear_images();
  EXPECT_THAT(Classify(request, &response),
              HasError(kInvalid, "INVALID_FIELD"));
  request = Question();
  for (int i = 0; i < 256; ++i) request.add_images("x");
  EXPECT_THAT(Classify(request, &response),
              HasError(kInvalid, "INVALID_FIELD"));
  request = Question();
  for (int i = 0; i < 200; ++i) request.add_images("x");
  for (int i = 0; i < 9'000; ++i) request.add_labels(absl::StrCat(i));
  EXPECT_THAT(Classify(request, &response),
              HasError(kInvalid, "RESPONSE_TOO_LARGE"));
}

TEST_F(InferenceServiceTest, CompareAsksBothVersions) {
  ClipConfig other = ServedClip();
  other.activation = Activation::kGelu;
  v1::Version version;
  ASSERT_THAT(Import("tuned", core::ClipFile(other), &version), IsOk());
  FakeWorker worker(server_->address(), {});
  v1::CompareRequest request;
  request.set_version("tuned");
  request.set_against("base");
  request.add_images(Picture(1));
  request.add_images("not a picture");
  request.add_labels("dog");
  request.add_labels("cat");
  request.set_top_k(1);
  v1::CompareResponse response;
  ASSERT_THAT(Run([&](grpc::ClientContext* context) {
                return inference_->Compare(context, request, &response);
              }),
              IsOk());
  EXPECT_EQ(response.answer().version(), "tuned:1");
  EXPECT_EQ(response.against_answer().version(), "base:1");
  for (const auto* answer : {&response.answer(), &response.against_answer()}) {
    ASSERT_EQ(answer->classifications_size(), 2);
    EXPECT_EQ(answer->classifications(0).scores_size(), 1);
    EXPECT_EQ(answer->classifications(1).error().reason(), "INVALID_IMAGE");
  }
  EXPECT_EQ(worker.loads().size(), 2u);
}

TEST_F(InferenceServiceTest, FailedLoadIsTheCallersError) {
  FakeWorker::Options options;
  options.load_error = "OUT_OF_MEMORY";
  FakeWorker worker(server_->address(), options);
  v1::EmbedTextsResponse response;
  EXPECT_THAT(EmbedTexts({"x"}, &response),
              HasError(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY"));
}

TEST_F(InferenceServiceTest, CallOfALostWorkerIsAnsweredByAnother) {
  FakeWorker::Options options;
  options.silent = true;
  auto silent = std::make_unique<FakeWorker>(server_->address(), options);
  v1::EmbedTextsResponse response;
  auto call = std::async(std::launch::async,
                         [&] { return EmbedTexts({"a dog"}, &response); });
  silent->AwaitBatches(1);
  options.silent = false;
  options.id = "fake-2";
  FakeWorker worker(server_->address(), options);
  silent = nullptr;
  EXPECT_THAT(call.get(), IsOk());
  EXPECT_EQ(Values(response.embeddings(0)), TextEmbedding("a dog"));
}

TEST_F(InferenceServiceTest, CancelledCallFreesItsPlace) {
  FakeWorker::Options options;
  options.silent = true;
  FakeWorker worker(server_->address(), options);
  v1::EmbedTextsRequest request;
  request.set_version("base");
  request.add_texts("a dog");
  v1::EmbedTextsResponse response;
  grpc::ClientContext context;
  auto call = std::async(std::launch::async, [&] {
    return FromGrpcStatus(inference_->EmbedTexts(&context, request, &response));
  });
  worker.AwaitBatches(1);
  context.TryCancel();
  EXPECT_EQ(call.get().code(), absl::StatusCode::kCancelled);
}

TEST_F(InferenceServiceTest, WorkerThatDidNotRegisterIsRefused) {
  auto stub = v1::WorkerService::NewStub(channel_);
  grpc::ClientContext context;
  auto stream = stub->Serve(&context);
  v1::ServeRequest hello;
  hello.mutable_hello()->set_worker_id("nobody");
  hello.mutable_hello()->mutable_device()->set_kind("cpu");
  hello.mutable_hello()->set_version_slots(1);
  hello.mutable_hello()->set_preferred_batch_size(1);
  stream->Write(hello);
  v1::ServeResponse message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_THAT(FromGrpcStatus(stream->Finish()),
              HasError(absl::StatusCode::kNotFound, "WORKER_UNKNOWN"));
}

TEST_F(InferenceServiceTest, WorkerThatTalksNonsenseIsRefused) {
  auto stub = v1::WorkerService::NewStub(channel_);
  v1::ServeRequest result;
  result.mutable_batch_result()->set_batch_id(1);
  v1::ServeRequest bad_hello;
  bad_hello.mutable_hello()->set_worker_id("w");
  for (const v1::ServeRequest& first : {result, bad_hello, {}}) {
    grpc::ClientContext context;
    auto stream = stub->Serve(&context);
    stream->Write(first);
    v1::ServeResponse message;
    EXPECT_FALSE(stream->Read(&message));
    EXPECT_EQ(FromGrpcStatus(stream->Finish()).code(), kInvalid);
  }
}

}  // namespace
}  // namespace attune::services
