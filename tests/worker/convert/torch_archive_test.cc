#include "worker/convert/torch_archive.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "tests/test_util/temp_dir.h"
#include "tests/worker/convert/archive_writer.h"

namespace attune::convert {
namespace {

using testing::HasSubstr;

class TorchArchiveTest : public testing::Test {
 protected:
  // The pickle of one tensor "w" made by this call.
  static std::string OneTensor(const std::string& call) {
    return absl::StrCat("\x80\x02}", PickledText("w"), call, "s.");
  }

  void ExpectRefused(const std::map<std::string, std::string>& records,
                     const std::string& message) {
    WriteRecords(path_, records);
    ExpectRefused(message);
  }
  void ExpectRefused(const std::string& message) {
    const absl::Status status = ReadTorchArchive(path_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ErrorReason(status), "INVALID_ARCHIVE") << status;
    EXPECT_THAT(status.message(), HasSubstr(message));
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
  }

  // Changes the method of an entry in the archive's directory to deflate.
  void MarkAsCompressed(const std::string& record) {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const size_t name = bytes.rfind(absl::StrCat("/", record));
    ASSERT_NE(name, std::string::npos);
    const size_t entry = bytes.rfind("PK\x01\x02", name);
    ASSERT_NE(entry, std::string::npos);
    file.seekp(static_cast<std::streamoff>(entry + 10));
    file.put('\x08');
  }

  test::TempDir folder_;
  const std::string path_ = folder_.File("model.pt");
  const model::Tensors tensors_ = {
      {"logit_scale", at::scalar_tensor(4.5f)},
      {"visual.proj", at::arange(6, at::kFloat).view({2, 3})},
      {"visual.block.0.weight", at::arange(4).to(at::kHalf)},
      {"visual.block.1.weight", at::arange(4).to(at::kBFloat16)}};
};

void ExpectEqual(const model::Tensors& tensors, const model::Tensors& other) {
  ASSERT_EQ(tensors.size(), other.size());
  for (const auto& [name, tensor] : tensors) {
    ASSERT_TRUE(other.contains(name)) << name;
    EXPECT_EQ(tensor.scalar_type(), other.at(name).scalar_type()) << name;
    EXPECT_TRUE(tensor.equal(other.at(name))) << name;
  }
}

TEST_F(TorchArchiveTest, ReadsAStateDict) {
  WriteStateDict(path_, tensors_);
  const absl::StatusOr<TorchArchive> archive = ReadTorchArchive(path_);
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_FALSE(archive->is_torchscript);
  ExpectEqual(tensors_, archive->tensors);
}

TEST_F(TorchArchiveTest, ReadsATrainingCheckpointOfAWrappedModel) {
  model::Tensors wrapped;
  for (const auto& [name, tensor] : tensors_) {
    wrapped["module." + name] = tensor;
  }
  WriteStateDict(path_, wrapped, true);
  const absl::StatusOr<TorchArchive> archive = ReadTorchArchive(path_);
  ASSERT_TRUE(archive.ok()) << archive.status();
  ExpectEqual(tensors_, archive->tensors);
}

TEST_F(TorchArchiveTest, ReadsATorchScriptModule) {
  WriteTorchScript(path_, tensors_);
  const absl::StatusOr<TorchArchive> archive = ReadTorchArchive(path_);
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_TRUE(archive->is_torchscript);
  model::Tensors weights = archive->tensors;
  EXPECT_EQ(weights.erase("input_resolution"), 1u);
  EXPECT_EQ(weights.erase("context_length"), 1u);
  EXPECT_EQ(weights.erase("vocab_size"), 1u);
  ExpectEqual(tensors_, weights);
}

TEST_F(TorchArchiveTest, TensorsMayShareBytesAndBeTransposed) {
  const std::string storage = PickledStorage("FloatStorage", "0", 6);
  const std::string pickle = absl::StrCat(
      "\x80\x02}", PickledText("first"), PickledTensor(storage, {2}), "s",
      PickledText("rest"), PickledTensor(storage, {2, 2}, 2), "s.");
  const float values[] = {1, 2, 3, 4, 5, 6};
  WriteRecords(path_,
               {{"data.pkl", pickle},
                {"data/0", {reinterpret_cast<const char*>(values), 24}}});
  const absl::StatusOr<TorchArchive> archive = ReadTorchArchive(path_);
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_TRUE(archive->tensors.at("first").equal(at::tensor({1.f, 2.f})));
  EXPECT_TRUE(archive->tensors.at("rest").equal(
      at::tensor({3.f, 4.f, 5.f, 6.f}).view({2, 2})));
}

TEST_F(TorchArchiveTest, NothingInAPickleIsRun) {
  const std::string canary = folder_.File("canary");
  const std::string call =
      absl::StrCat("cposix\nsystem\n", PickledText("touch " + canary), "\x85R");
  ExpectRefused({{"data.pkl", absl::StrCat("\x80\x02", call, ".")}},
                "'posix.system' and no state_dict; nothing of it was run");
  ExpectRefused({{"data.pkl", OneTensor(call)}},
                "tensor 'w' is a 'posix.system' and no tensor");
  // In the place of a storage, an argument and a key.
  ExpectRefused({{"data.pkl", OneTensor(PickledTensor(call, {1}))}},
                "tensor 'w' is not described");
  ExpectRefused({{"data.pkl", absl::StrCat("\x80\x02}", call, "Ns.")}},
                "a key that is no text");
  EXPECT_FALSE(std::filesystem::exists(canary));
}

TEST_F(TorchArchiveTest, TensorsOutsideTheirBytesAreNamed) {
  const std::string bytes(24, '\0');
  const auto refused = [&](const std::vector<int64_t>& sizes, int64_t offset) {
    ExpectRefused({{"data.pkl", OneTensor(PickledTensor(
                                    PickledStorage("FloatStorage", "0", 6),
                                    sizes, offset))},
                   {"data/0", bytes}},
                  "tensor 'w' ");
  };
  refused({7}, 0);
  refused({6}, 1);
  refused({2, 4}, 0);
  refused({1}, 6);
  refused({-1}, 0);
  refused({1}, -1);
  refused({int64_t{1} << 39, int64_t{1} << 39}, 0);
  refused({int64_t{1} << 62}, 0);
  refused(std::vector<int64_t>(17, 1), 0);
}

TEST_F(TorchArchiveTest, MissingBytesAndStrangeTypesAreNamed) {
  ExpectRefused(
      {{"data.pkl",
        OneTensor(PickledTensor(PickledStorage("FloatStorage", "5", 1), {1}))}},
      "tensor 'w' cannot be read: the archive has no record 'data/5'");
  ExpectRefused(
      {{"data.pkl",
        OneTensor(PickledTensor(PickledStorage("QInt8Storage", "0", 4), {1}))},
       {"data/0", "1234"}},
      "tensor 'w' has the type 'torch.QInt8Storage'");
}

TEST_F(TorchArchiveTest, OtherArchivesAreRefused) {
  ExpectRefused({{"readme.txt", "hello"}}, "no data.pkl");
  ExpectRefused({{"data.pkl", "\x80\x02]."}}, "no state_dict");
  ExpectRefused({{"data.pkl", "\x80\x02}."}, {"byteorder", "big"}},
                "big-endian");
}

// LibTorch inflates some of them before anybody can look at their size.
TEST_F(TorchArchiveTest, CompressedRecordsAreRefusedUnread) {
  for (const std::string record : {"version", ".data/serialization_id",
                                   "byteorder", "data.pkl", "data/0"}) {
    WriteStateDict(path_, {{"w", at::ones({2})}});
    MarkAsCompressed(record);
    ExpectRefused(absl::StrCat("record '", record, "' is compressed"));
  }
}

TEST_F(TorchArchiveTest, CompressedCodeIsNotRead) {
  WriteTorchScript(path_, tensors_);
  MarkAsCompressed("code/__torch__/clip.py");
  const absl::StatusOr<TorchArchive> archive = ReadTorchArchive(path_);
  EXPECT_TRUE(archive.ok()) << archive.status();
}

TEST_F(TorchArchiveTest, ArchivesWithSomethingBehindAreRefused) {
  WriteStateDict(path_, tensors_);
  std::ofstream(path_, std::ios::binary | std::ios::app) << "x";
  ExpectRefused("no whole PyTorch archive");
}

TEST_F(TorchArchiveTest, TruncatedArchivesAreRefused) {
  WriteStateDict(path_, tensors_);
  const auto size = std::filesystem::file_size(path_);
  for (uintmax_t part : {size - 1, size / 2, uintmax_t{30}, uintmax_t{4}}) {
    std::filesystem::resize_file(path_, part);
    ExpectRefused("no whole PyTorch archive");
  }
}

// Whatever one byte is changed to, the archive is read or refused.
TEST_F(TorchArchiveTest, ChangedBytesDoNoHarm) {
  WriteStateDict(path_, {{"w", at::ones({2})}});
  std::ifstream file(path_, std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(file), {}};
  for (size_t i = 0; i < good.size(); ++i) {
    std::string changed = good;
    changed[i] = static_cast<char>(changed[i] ^ 0x41);
    std::ofstream(path_, std::ios::binary) << changed;
    const absl::StatusOr<TorchArchive> archive = ReadTorchArchive(path_);
    if (!archive.ok()) {
      EXPECT_EQ(archive.status().code(), absl::StatusCode::kInvalidArgument)
          << i << " " << archive.status();
    }
  }
}

}  // namespace
}  // namespace attune::convert
