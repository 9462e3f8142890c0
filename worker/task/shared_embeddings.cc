#include "worker/task/shared_embeddings.h"

#include <ATen/Functions.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "worker/content/tensor_upload.h"
#include "worker/content/version_loader.h"
#include "worker/model/torch_status.h"

namespace attune::task {
namespace {

constexpr char kImages[] = "images";
constexpr char kEmbeddings[] = "embeddings";
constexpr int64_t kDigestBytes = 32;

std::string SourceOf(const v1::StoredEmbeddings& stored) {
  for (const v1::TensorEntry& entry : stored.manifest().tensors()) {
    if (entry.name() == kEmbeddings) return entry.blob_digest();
  }
  return "";
}

absl::Status Check(const model::Tensors& tensors, int64_t embedding_size) {
  const auto images = tensors.find(kImages);
  const auto embeddings = tensors.find(kEmbeddings);
  if (images == tensors.end() || embeddings == tensors.end() ||
      images->second.scalar_type() != at::kByte ||
      embeddings->second.scalar_type() != at::kFloat ||
      images->second.dim() != 2 || images->second.size(1) != kDigestBytes ||
      embeddings->second.dim() != 2 ||
      embeddings->second.size(1) != embedding_size ||
      images->second.size(0) != embeddings->second.size(0) ||
      !at::isfinite(embeddings->second).all().item<bool>()) {
    return Error(absl::StatusCode::kDataLoss, "INVALID_EMBEDDINGS",
                 "they do not have the form that they should");
  }
  return absl::OkStatus();
}

// Collects rows for pictures that have none yet.
class Collector {
 public:
  Collector(const ExampleSet& examples, const std::vector<int64_t>& images) {
    for (int64_t image : images) {
      wanted_.try_emplace(
          absl::HexStringToBytes(examples.images.values()[image]), image);
    }
  }

  bool done() const { return wanted_.empty(); }

  // Whether any row was wanted.
  bool Take(const at::Tensor& images, const at::Tensor& embeddings) {
    const at::Tensor digests = images.contiguous();
    const auto* bytes =
        reinterpret_cast<const char*>(digests.data_ptr<uint8_t>());
    std::vector<int64_t> rows;
    for (int64_t row = 0; row < digests.size(0); ++row) {
      const auto found =
          wanted_.find(std::string(bytes + row * kDigestBytes, kDigestBytes));
      if (found == wanted_.end()) continue;
      entries_.push_back(found->second);
      rows.push_back(row);
      wanted_.erase(found);
    }
    if (rows.empty()) return false;
    parts_.push_back(embeddings.index_select(0, at::tensor(rows, at::kLong)));
    return true;
  }

  train::EmbeddingRows Finish() && {
    if (entries_.empty()) return {};
    return {std::move(entries_), at::cat(parts_)};
  }

 private:
  // SHA-256 → number.
  absl::flat_hash_map<std::string, int64_t> wanted_;
  std::vector<int64_t> entries_;
  std::vector<at::Tensor> parts_;
};

}  // namespace

std::string EmbeddingVariant(bool bf16) {
  // Raise the number when preprocessing or the towers change their results.
  return absl::StrCat("pillow-bicubic-1 ", bf16 ? "bf16" : "fp32");
}

absl::StatusOr<FoundEmbeddings> FetchEmbeddings(
    transport::ServerConnection& connection,
    const google::protobuf::RepeatedPtrField<v1::StoredEmbeddings>& stored,
    const std::string& variant, const ExampleSet& examples,
    const std::vector<int64_t>& images, int64_t embedding_size,
    const std::optional<std::vector<std::string>>& sources) {
  FoundEmbeddings found;
  Collector collector(examples, images);
  for (const v1::StoredEmbeddings& one : stored) {
    if (collector.done()) break;
    const std::string source = SourceOf(one);
    if (one.variant() != variant || source.empty()) continue;
    if (sources.has_value() &&
        std::find(sources->begin(), sources->end(), source) == sources->end()) {
      continue;
    }
    const absl::StatusOr<bool> taken =
        model::CatchTorchErrors([&]() -> absl::StatusOr<bool> {
          ATTUNE_ASSIGN_OR_RETURN(
              const model::Tensors tensors,
              content::FetchTensors(connection, one.manifest()));
          ATTUNE_RETURN_IF_ERROR(Check(tensors, embedding_size));
          return collector.Take(tensors.at(kImages), tensors.at(kEmbeddings));
        });
    if (absl::IsCancelled(taken.status())) return taken.status();
    if (!taken.ok()) {
      spdlog::warn("computing embeddings anew that are stored as {}: {}",
                   source, std::string(taken.status().message()));
    } else if (*taken) {
      found.sources.push_back(source);
    }
  }
  found.rows = std::move(collector).Finish();
  return found;
}

absl::StatusOr<v1::StoredEmbeddings> StoreEmbeddings(
    transport::ServerConnection& connection, const std::string& lease_token,
    const std::string& variant, const ExampleSet& examples,
    const train::EmbeddingRows& rows) {
  v1::StoredEmbeddings stored;
  stored.set_variant(variant);
  at::Tensor images = at::empty(
      {static_cast<int64_t>(rows.entries.size()), kDigestBytes}, at::kByte);
  uint8_t* to = images.data_ptr<uint8_t>();
  for (int64_t entry : rows.entries) {
    const std::string digest =
        absl::HexStringToBytes(examples.images.values()[entry]);
    std::memcpy(to, digest.data(), kDigestBytes);
    to += kDigestBytes;
  }
  ATTUNE_ASSIGN_OR_RETURN(
      *stored.mutable_manifest(),
      content::UploadTensors(connection, lease_token,
                             {{kImages, images}, {kEmbeddings, rows.rows}}));
  return stored;
}

}  // namespace attune::task
