#include "worker/serve/serve_loop.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <string>
#include <thread>
#include <vector>

#include "common/grpc/channel.h"
#include "common/image/encode.h"
#include "common/image/preprocess.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/fake_server/fake_server.h"
#include "worker/model/clip.h"
#include "worker/model/init.h"
#include "worker/model/safetensors_io.h"
#include "worker/model/text_batch.h"

namespace attune::serve {
namespace {

using test::FakeServer;

std::string Picture(int seed) {
  image::RgbImage image{.width = 60, .height = 50, .pixels = {}};
  for (int i = 0; i < 60 * 50 * 3; ++i) {
    image.pixels.push_back(static_cast<uint8_t>((i * (seed + 3)) % 251));
  }
  return *image::EncodePng(image);
}

class ServeLoopTest : public testing::Test {
 protected:
  ServeLoopTest() {
    at::set_num_threads(1);
    config_ = *model::NamedConfig("tiny");
    tensors_ = model::RandomTensors(config_, 5);
  }
  ~ServeLoopTest() override { Drain(); }

  void Start() {
    ServeOptions options;
    options.hello.set_worker_id("worker-1");
    options.hello.set_version_slots(2);
    options.decoder_program = ATTUNE_DECODER;
    thread_ = std::thread(
        [this, options] { ServeLoop(connection_, drain_, options).Run(); });
  }

  void Drain() {
    drain_.Stop();
    if (thread_.joinable()) thread_.join();
  }

  v1::ServeResponse LoadMessage(const std::string& digest) {
    v1::ServeResponse message;
    v1::VersionContent& version = *message.mutable_load()->mutable_version();
    version.set_version("robust:" + digest);
    version.set_digest(digest);
    v1::ClipConfig& config = *version.mutable_config();
    config.set_image_size(config_.image_size);
    config.set_patch_size(config_.patch_size);
    config.set_vision_width(config_.vision_width);
    config.set_vision_layers(config_.vision_layers);
    config.set_vision_heads(config_.vision_heads);
    config.set_text_width(config_.text_width);
    config.set_text_layers(config_.text_layers);
    config.set_text_heads(config_.text_heads);
    config.set_context_length(config_.context_length);
    config.set_vocabulary_size(config_.vocabulary_size);
    config.set_embedding_size(config_.embedding_size);
    config.set_activation(v1::ACTIVATION_QUICK_GELU);
    for (float mean : config_.pixel_mean) config.add_pixel_mean(mean);
    for (float deviation : config_.pixel_deviation) {
      config.add_pixel_deviation(deviation);
    }
    for (const auto& [name, tensor] : tensors_) {
      v1::TensorEntry& entry = *version.mutable_manifest()->add_tensors();
      const std::string bytes = model::TensorBytes(tensor);
      entry.set_name(name);
      entry.set_data_type(v1::DATA_TYPE_FLOAT32);
      for (int64_t side : tensor.sizes()) entry.add_shape(side);
      entry.set_size_bytes(static_cast<int64_t>(bytes.size()));
      entry.set_blob_digest(server_.AddBlob(bytes));
    }
    return message;
  }

  // Waits for the answer to a batch.
  v1::ServeRequest::BatchResult Answer(int64_t id) {
    const auto find = [id](const FakeServer::Seen& seen) {
      for (const v1::ServeRequest& request : seen.serve_requests) {
        if (request.has_batch_result() &&
            request.batch_result().batch_id() == id) {
          return &request.batch_result();
        }
      }
      return static_cast<const v1::ServeRequest::BatchResult*>(nullptr);
    };
    EXPECT_TRUE(server_.Await(
        [&](const FakeServer::Seen& seen) { return find(seen) != nullptr; }));
    const FakeServer::Seen seen = server_.seen();
    const auto* found = find(seen);
    return found == nullptr ? v1::ServeRequest::BatchResult() : *found;
  }

  bool AwaitLoads(size_t count) {
    return server_.Await([count](const FakeServer::Seen& seen) {
      size_t loads = 0;
      for (const v1::ServeRequest& request : seen.serve_requests) {
        loads += request.has_load_result();
      }
      return loads >= count;
    });
  }

  // The embeddings that the model functions give for one image.
  at::Tensor Expected(const std::string& image) {
    const auto pixels = *image::DecodeAndPreprocess(image, config_.image_size);
    const at::Tensor tensor =
        at::tensor(at::ArrayRef<uint8_t>(pixels), at::kByte)
            .view({1, config_.image_size, config_.image_size, 3});
    return model::Normalised(model::EncodeImages(config_, tensors_, tensor));
  }

  static at::Tensor Row(const v1::ServeRequest::BatchResult& result,
                        int64_t row, int64_t size) {
    std::vector<float> values(result.embeddings().begin() + row * size,
                              result.embeddings().begin() + (row + 1) * size);
    return at::tensor(values);
  }

  FakeServer server_;
  transport::StopSignal stop_;
  transport::StopSignal drain_;
  transport::ServerConnection connection_{ConnectTo(server_.address()), stop_};
  ClipConfig config_;
  model::Tensors tensors_;
  std::thread thread_;
};

TEST_F(ServeLoopTest, AnswersImagesAndABrokenOneFailsAlone) {
  server_.PushServe(LoadMessage("a"));
  Start();
  ASSERT_TRUE(AwaitLoads(1));
  v1::ServeResponse message;
  message.mutable_batch()->set_batch_id(7);
  message.mutable_batch()->set_version_digest("a");
  message.mutable_batch()->add_images(Picture(1));
  message.mutable_batch()->add_images(Picture(2).substr(0, 200));
  message.mutable_batch()->add_images(Picture(3));
  server_.PushServe(message);

  const v1::ServeRequest::BatchResult result = Answer(7);
  EXPECT_FALSE(result.has_error());
  const int64_t size = config_.embedding_size;
  ASSERT_EQ(result.embeddings_size(), 3 * size);
  EXPECT_TRUE(
      at::allclose(Row(result, 0, size), Expected(Picture(1))[0], 1e-5, 1e-5));
  EXPECT_TRUE(
      at::allclose(Row(result, 2, size), Expected(Picture(3))[0], 1e-5, 1e-5));
  EXPECT_EQ(Row(result, 1, size).abs().sum().item<float>(), 0);
  ASSERT_EQ(result.errors_size(), 1);
  EXPECT_EQ(result.errors(0).item(), 1);
  EXPECT_EQ(result.errors(0).error().code(),
            static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(result.errors(0).error().reason(), "INVALID_IMAGE");
}

TEST_F(ServeLoopTest, ABatchOfBrokenImagesIsAnsweredWithoutComputing) {
  server_.PushServe(LoadMessage("a"));
  Start();
  ASSERT_TRUE(AwaitLoads(1));
  v1::ServeResponse message;
  message.mutable_batch()->set_batch_id(7);
  message.mutable_batch()->set_version_digest("a");
  for (int i = 0; i < 3; ++i) {
    message.mutable_batch()->add_images(Picture(i).substr(0, 100 + i));
  }
  server_.PushServe(message);
  const v1::ServeRequest::BatchResult result = Answer(7);
  EXPECT_FALSE(result.has_error());
  EXPECT_EQ(result.errors_size(), 3);
  ASSERT_EQ(result.embeddings_size(), 3 * config_.embedding_size);
  for (const float value : result.embeddings()) EXPECT_EQ(value, 0);
  EXPECT_FALSE(result.has_forward_time());
}

TEST_F(ServeLoopTest, ALoadThatTheServerCannotAnswerDoesNotDelayTheNextStream) {
  server_.Fail("GetBlobs", absl::UnavailableError("cut"), 1'000'000);
  server_.PushServe(LoadMessage("a"));
  Start();
  ASSERT_TRUE(server_.Await([](const FakeServer::Seen& seen) {
    return seen.calls.count("GetBlobs") > 0;
  }));
  server_.CutServeStreams();
  EXPECT_TRUE(server_.Await(
      [](const FakeServer::Seen& seen) { return seen.serve_streams == 2; }));
}

TEST_F(ServeLoopTest, ALoadDoesNotKeepADrainedWorkerFromEnding) {
  server_.Fail("GetBlobs", absl::UnavailableError("cut"), 1'000'000);
  server_.PushServe(LoadMessage("a"));
  Start();
  ASSERT_TRUE(server_.Await([](const FakeServer::Seen& seen) {
    return seen.calls.count("GetBlobs") > 0;
  }));
  // Hangs for ever when the load goes on.
  Drain();
}

TEST_F(ServeLoopTest, TextsEqualTheTextTower) {
  server_.PushServe(LoadMessage("a"));
  Start();
  ASSERT_TRUE(AwaitLoads(1));
  const std::vector<std::vector<int32_t>> rows = {{49406, 320, 1125, 49407},
                                                  {49406, 320, 49407}};
  v1::ServeResponse message;
  message.mutable_batch()->set_batch_id(8);
  message.mutable_batch()->set_version_digest("a");
  for (const auto& row : rows) {
    v1::ServeResponse::TokenRow& text = *message.mutable_batch()->add_texts();
    text.mutable_tokens()->Add(row.begin(), row.end());
  }
  server_.PushServe(message);
  const v1::ServeRequest::BatchResult result = Answer(8);
  const at::Tensor expected = model::Normalised(
      model::EncodeTexts(config_, tensors_, *model::PackTexts(rows, config_)));
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(at::allclose(Row(result, i, config_.embedding_size),
                             expected[i], 1e-5, 1e-5));
  }
}

TEST_F(ServeLoopTest, AVersionThatIsNotThereFailsTheBatch) {
  server_.PushServe(LoadMessage("a"));
  Start();
  ASSERT_TRUE(AwaitLoads(1));
  v1::ServeResponse message;
  message.mutable_batch()->set_batch_id(9);
  message.mutable_batch()->set_version_digest("b");
  message.mutable_batch()->add_images(Picture(1));
  server_.PushServe(message);
  EXPECT_EQ(Answer(9).error().reason(), "MODEL_NOT_LOADED");
}

TEST_F(ServeLoopTest, ADamagedBlobIsALoadError) {
  v1::ServeResponse damaged = LoadMessage("a");
  damaged.mutable_load()->mutable_version()->set_digest("damaged");
  const v1::TensorEntry& entry = damaged.load().version().manifest().tensors(0);
  server_.DamageBlob(entry.blob_digest(), std::string(entry.size_bytes(), 'x'));
  server_.PushServe(damaged);
  Start();
  ASSERT_TRUE(AwaitLoads(1));
  EXPECT_EQ(server_.seen().serve_requests.back().load_result().error().reason(),
            "BLOB_DAMAGED");
}

TEST_F(ServeLoopTest, AVersionWithTheSameTensorsFetchesNothing) {
  server_.PushServe(LoadMessage("a"));
  server_.PushServe(LoadMessage("b"));
  Start();
  ASSERT_TRUE(AwaitLoads(2));
  // One blob a tensor, for the first version only.
  EXPECT_EQ(server_.seen().calls["GetBlobs"],
            static_cast<int>(tensors_.size()));
}

TEST_F(ServeLoopTest, ANewStreamBeginsWithoutVersions) {
  Start();
  server_.PushServe(LoadMessage("a"));
  ASSERT_TRUE(AwaitLoads(1));
  const int fetched = server_.seen().calls["GetBlobs"];
  // The fake server pushes the load again down the new stream.
  server_.CutServeStreams();
  ASSERT_TRUE(AwaitLoads(2));
  EXPECT_EQ(server_.seen().calls["GetBlobs"], 2 * fetched);
}

TEST_F(ServeLoopTest, OpensAnotherStreamWhenOneBreaksAndSaysHelloAgain) {
  Start();
  ASSERT_TRUE(server_.Await([](const FakeServer::Seen& seen) {
    return seen.serve_requests.size() == 1;
  }));
  server_.CutServeStreams();
  ASSERT_TRUE(server_.Await([](const FakeServer::Seen& seen) {
    return seen.serve_streams == 2 && seen.serve_requests.size() == 2;
  }));
  EXPECT_EQ(server_.seen().serve_requests[1].hello().worker_id(), "worker-1");
}

}  // namespace
}  // namespace attune::serve
