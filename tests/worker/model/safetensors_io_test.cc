#include "worker/model/safetensors_io.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "common/error.h"
#include "tests/test_util/temp_dir.h"
#include "worker/model/init.h"

namespace attune::model {
namespace {

using safetensors::DataType;
using testing::HasSubstr;

class SafetensorsIoTest : public testing::Test {
 protected:
  void ExpectLoadFails(absl::StatusCode code, const std::string& reason,
                       const std::string& message) {
    const absl::Status status = LoadClip(path_).status();
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(ErrorReason(status), reason);
    EXPECT_THAT(status.message(), HasSubstr(path_));
    EXPECT_THAT(status.message(), HasSubstr(message));
  }

  std::string FileBytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  test::TempDir folder_;
  const std::string path_ = folder_.File("model.safetensors");
  const ClipConfig config_ = {.image_size = 8,
                              .patch_size = 4,
                              .vision_width = 8,
                              .vision_layers = 1,
                              .vision_heads = 2,
                              .text_width = 4,
                              .text_layers = 1,
                              .text_heads = 2,
                              .context_length = 5,
                              .vocabulary_size = 7,
                              .embedding_size = 6};
  Tensors tensors_ = RandomTensors(config_, 1);
};

TEST_F(SafetensorsIoTest, LoadsWhatWasSaved) {
  ASSERT_TRUE(SaveTensors(path_, tensors_, ClipMetadata(config_)).ok());
  const absl::StatusOr<LoadedClip> clip = LoadClip(path_);
  ASSERT_TRUE(clip.ok()) << clip.status();
  EXPECT_EQ(clip->config, config_);
  ASSERT_EQ(clip->tensors.size(), tensors_.size());
  for (const auto& [name, tensor] : tensors_) {
    EXPECT_TRUE(clip->tensors.at(name).equal(tensor)) << name;
  }
  // Nothing else is left in the folder.
  EXPECT_EQ(
      std::distance(std::filesystem::directory_iterator(folder_.path()), {}),
      1);
}

TEST_F(SafetensorsIoTest, EqualTensorsMakeEqualFiles) {
  ASSERT_TRUE(SaveTensors(path_, tensors_, ClipMetadata(config_)).ok());
  const std::string first = FileBytes();
  ASSERT_TRUE(SaveTensors(path_, tensors_, ClipMetadata(config_)).ok());
  EXPECT_EQ(FileBytes(), first);
}

TEST_F(SafetensorsIoTest, HalfPrecisionIsLoadedAsFloat) {
  Tensors halves;
  for (const auto& [name, tensor] : tensors_) {
    halves[name] = tensor.to(name < "t" ? at::kHalf : at::kBFloat16);
  }
  ASSERT_TRUE(SaveTensors(path_, halves, ClipMetadata(config_)).ok());
  const absl::StatusOr<LoadedClip> clip = LoadClip(path_);
  ASSERT_TRUE(clip.ok()) << clip.status();
  for (const auto& [name, tensor] : halves) {
    EXPECT_EQ(clip->tensors.at(name).scalar_type(), at::kFloat);
    EXPECT_TRUE(clip->tensors.at(name).equal(tensor.to(at::kFloat))) << name;
  }
}

TEST_F(SafetensorsIoTest, TransposedTensorsAreSavedRowMajor) {
  tensors_["visual.proj"] = tensors_["visual.proj"].t().contiguous().t();
  ASSERT_TRUE(SaveTensors(path_, tensors_, ClipMetadata(config_)).ok());
  EXPECT_TRUE(LoadClip(path_)
                  ->tensors.at("visual.proj")
                  .equal(tensors_["visual.proj"]));
}

TEST_F(SafetensorsIoTest, MissingFileIsNotFound) {
  ExpectLoadFails(absl::StatusCode::kNotFound, "NOT_FOUND", "no file");
}

TEST_F(SafetensorsIoTest, FolderInsteadOfAFileIsAnError) {
  std::filesystem::create_directory(path_);
  ExpectLoadFails(absl::StatusCode::kInternal, "FILE_ERROR", "cannot read");
}

TEST_F(SafetensorsIoTest, EmptyFileIsNotSafetensors) {
  std::ofstream(path_).flush();
  ExpectLoadFails(absl::StatusCode::kInvalidArgument, "NOT_SAFETENSORS",
                  "not a safetensors file");
}

TEST_F(SafetensorsIoTest, TruncatedFileIsRefused) {
  ASSERT_TRUE(SaveTensors(path_, tensors_, ClipMetadata(config_)).ok());
  const auto size = std::filesystem::file_size(path_);
  std::filesystem::resize_file(path_, size - 1);
  ExpectLoadFails(absl::StatusCode::kInvalidArgument, "INVALID_SAFETENSORS",
                  "'visual.transformer.resblocks.0.mlp.c_proj.weight' ends at");
  std::filesystem::resize_file(path_, 20);
  ExpectLoadFails(absl::StatusCode::kInvalidArgument, "INVALID_SAFETENSORS",
                  "ends within its header");
}

TEST_F(SafetensorsIoTest, ValuesThatAreNotFiniteAreNamed) {
  for (float value : {std::numeric_limits<float>::infinity(),
                      std::numeric_limits<float>::quiet_NaN()}) {
    tensors_["ln_final.bias"][2] = value;
    ASSERT_TRUE(SaveTensors(path_, tensors_, ClipMetadata(config_)).ok());
    ExpectLoadFails(absl::StatusCode::kInvalidArgument, "INVALID_CLIP",
                    "'ln_final.bias' has values that are not finite");
  }
}

TEST_F(SafetensorsIoTest, MissingTensorIsNamed) {
  tensors_.erase("text_projection");
  ASSERT_TRUE(SaveTensors(path_, tensors_, ClipMetadata(config_)).ok());
  ExpectLoadFails(absl::StatusCode::kInvalidArgument, "INVALID_CLIP",
                  "'text_projection' is missing");
}

TEST_F(SafetensorsIoTest, SavingWhereThereIsNoFolderIsAnError) {
  const absl::Status status =
      SaveTensors(folder_.File("none/model"), tensors_, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ErrorReason(status), "FILE_ERROR");
}

TEST(TensorBytesTest, EveryTypeComesBack) {
  for (at::ScalarType type :
       {at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kByte}) {
    const at::Tensor tensor = at::arange(6).to(type).view({2, 3});
    const safetensors::TensorInfo info = DescribeTensor("t", tensor);
    const absl::StatusOr<at::Tensor> back =
        TensorFromBytes(info.data_type, info.shape, TensorBytes(tensor));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->scalar_type(), type);
    EXPECT_TRUE(back->equal(tensor));
  }
}

TEST(TensorBytesTest, ScalarsComeBack) {
  const at::Tensor scalar = at::scalar_tensor(2.5f);
  EXPECT_TRUE(TensorFromBytes(DataType::kFloat32, {}, TensorBytes(scalar))
                  ->equal(scalar));
}

TEST(TensorBytesTest, WrongNumberOfBytesIsRefused) {
  const absl::Status status =
      TensorFromBytes(DataType::kFloat32, {2}, "1234567").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "INVALID_TENSOR");
}

}  // namespace
}  // namespace attune::model
