#include <ATen/ATen.h>

#include <atomic>
#include <string>

#include "common/error.h"
#include "common/grpc/channel.h"
#include "gtest/gtest.h"
#include "tests/worker/content/small_clip.h"
#include "worker/content/device.h"
#include "worker/content/device_memory.h"
#include "worker/content/tensor_upload.h"
#include "worker/content/version_loader.h"
#include "worker/content/work_pool.h"
#include "worker/model/init.h"

namespace attune::content {
namespace {

class ContentTest : public testing::Test {
 protected:
  ContentTest() { server_.AddLease("lease"); }

  test::FakeServer server_;
  transport::StopSignal stop_;
  transport::ServerConnection connection_{ConnectTo(server_.address()), stop_};
  const ClipConfig config_ = test::SmallClipConfig();
  const model::Tensors tensors_ = model::RandomTensors(config_, 3);
};

TEST(MemoryUseTest, OthersMemoryIsWhatIsNeitherFreeNorOurs) {
  const std::string meminfo =
      "MemTotal:       16000000 kB\nMemFree:         1000000 kB\n"
      "MemAvailable:    6000000 kB\nBuffers:           10000 kB\n";
  // 2,000,000 pages of 4 KiB: 8,000,000 KiB of our own.
  MemoryUse use = ParseMemoryUse(meminfo, "3000000 2000000 100", 4096);
  EXPECT_EQ(use.total, int64_t{16'000'000} << 10);
  EXPECT_EQ(use.free, int64_t{6'000'000} << 10);
  EXPECT_EQ(use.own, int64_t{8'000'000} << 10);
  EXPECT_TRUE(use.OtherwiseFree());
  use = ParseMemoryUse(meminfo, "3000000 1000000 100", 4096);
  EXPECT_FALSE(use.OtherwiseFree());
}

TEST(MemoryUseTest, TheMachineCanBeAsked) {
  const MemoryUse use = ReadMemoryUse(at::kCPU);
  EXPECT_GT(use.own, 0);
  EXPECT_GT(use.total, use.own);
  EXPECT_GT(use.free, 0);
}

TEST_F(ContentTest, ConfigSurvivesTheWire) {
  ClipConfig config = config_;
  config.activation = Activation::kGelu;
  config.pixel_mean = {0.1F, 0.2F, 0.3F};
  EXPECT_EQ(FromProto(test::ToProto(config)), config);
}

TEST_F(ContentTest, LoadedVersionHasTheStoredTensors) {
  const auto content = test::StoreVersion(server_, "m:1", config_, tensors_);
  const auto loaded = LoadVersion(connection_, content, at::kCPU);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config, config_);
  ASSERT_EQ(loaded->tensors.size(), tensors_.size());
  for (const auto& [name, tensor] : tensors_) {
    EXPECT_TRUE(at::equal(loaded->tensors.at(name), tensor)) << name;
  }
}

TEST_F(ContentTest, HalfPrecisionVersionIsLoadedAsFp32) {
  model::Tensors half;
  for (const auto& [name, tensor] : tensors_) half[name] = tensor.to(at::kHalf);
  const auto loaded = LoadVersion(
      connection_, test::StoreVersion(server_, "m:1", config_, half), at::kCPU);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  for (const auto& [name, tensor] : half) {
    EXPECT_TRUE(at::equal(loaded->tensors.at(name), tensor.to(at::kFloat)));
  }
}

TEST_F(ContentTest, KnownTensorsAreSharedAndNotFetched) {
  const auto first = LoadVersion(
      connection_, test::StoreVersion(server_, "m:1", config_, tensors_),
      at::kCPU);
  ASSERT_TRUE(first.ok()) << first.status();
  model::Tensors changed = tensors_;
  changed["logit_scale"] = tensors_.at("logit_scale") + 1;
  const auto content = test::StoreVersion(server_, "m:2", config_, changed);
  const int calls = server_.seen().calls["GetBlobs"];
  const auto second =
      LoadVersion(connection_, content, at::kCPU, first->by_digest);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(server_.seen().calls["GetBlobs"], calls + 1);
  const std::string shared = "token_embedding.weight";
  EXPECT_EQ(second->tensors.at(shared).data_ptr(),
            first->tensors.at(shared).data_ptr());
  EXPECT_TRUE(
      at::equal(second->tensors.at("logit_scale"), changed["logit_scale"]));
}

TEST_F(ContentTest, TensorsThatDoNotFitTheConfigAreInvalid) {
  auto content = test::StoreVersion(server_, "m:1", config_, tensors_);
  content.mutable_config()->set_vision_layers(2);
  const absl::Status status =
      LoadVersion(connection_, content, at::kCPU).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "INVALID_CLIP");
}

TEST_F(ContentTest, UploadNamesEveryTensorAndSendsOnlyWhatIsMissing) {
  const auto base = test::StoreVersion(server_, "m:1", config_, tensors_);
  model::Tensors changed = tensors_;
  changed["logit_scale"] = tensors_.at("logit_scale") + 1;
  const auto manifest =
      UploadTensors(connection_, "lease", changed, base.manifest());
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  ASSERT_EQ(manifest->tensors_size(), base.manifest().tensors_size());
  int different = 0;
  for (int i = 0; i < manifest->tensors_size(); ++i) {
    const v1::TensorEntry& entry = manifest->tensors(i);
    const v1::TensorEntry& old = base.manifest().tensors(i);
    EXPECT_EQ(entry.name(), old.name());
    EXPECT_EQ(entry.data_type(), old.data_type());
    different += entry.blob_digest() != old.blob_digest();
  }
  EXPECT_EQ(different, 1);
  EXPECT_EQ(server_.seen().put_digests.size(), 1u);
}

TEST_F(ContentTest, UploadKeepsTheTypesOfTheBase) {
  model::Tensors half = {{"a", at::ones({2}).to(at::kHalf)}};
  const auto types = UploadTensors(connection_, "lease", half);
  ASSERT_TRUE(types.ok()) << types.status();
  const auto manifest =
      UploadTensors(connection_, "lease", {{"a", at::ones({2})}}, *types);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->tensors(0).data_type(), v1::DATA_TYPE_FLOAT16);
  EXPECT_EQ(manifest->tensors(0).blob_digest(),
            types->tensors(0).blob_digest());
}

TEST(DeviceTest, CpuIsAlwaysThere) {
  const auto device = ResolveDevice("cpu");
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_TRUE(device->is_cpu());
  const v1::WorkerDevice description = DescribeDevice(*device);
  EXPECT_EQ(description.kind(), "cpu");
  EXPECT_GT(description.memory_bytes(), 0);
}

TEST(DeviceTest, UnknownNameIsInvalid) {
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:-1", ""}) {
    EXPECT_EQ(ResolveDevice(name).status().code(),
              absl::StatusCode::kInvalidArgument)
        << name;
  }
}

TEST(DeviceTest, MissingGpuIsAFailedPrecondition) {
  const absl::Status status = ResolveDevice("cuda:99").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(status), "NO_CUDA");
}

TEST(WorkPoolTest, WaitReturnsWhenAllWorkIsDone) {
  WorkPool pool(3);
  std::atomic<int> done = 0;
  for (int i = 0; i < 100; ++i) pool.Add([&done] { ++done; });
  pool.Wait();
  EXPECT_EQ(done, 100);
}

TEST(WorkPoolTest, DestructionFinishesTheWork) {
  std::atomic<int> done = 0;
  {
    WorkPool pool(2);
    for (int i = 0; i < 20; ++i) pool.Add([&done] { ++done; });
  }
  EXPECT_EQ(done, 20);
}

}  // namespace
}  // namespace attune::content
