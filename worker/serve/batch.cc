#include "worker/serve/batch.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "common/error.h"
#include "common/grpc/time_conversion.h"
#include "common/status_macros.h"
#include "worker/model/clip.h"
#include "worker/model/torch_status.h"
#include "worker/model/upload.h"

namespace attune::serve {
namespace {

struct DecodedImages {
  at::Tensor pixels;                 // uint8 [B, S, S, 3]
  std::vector<absl::Status> errors;  // [B]; zeros in `pixels` for an error
};

absl::StatusOr<DecodedImages> Decode(const v1::ServeResponse::Batch& batch,
                                     int size, decode::PictureDecoder& decoder,
                                     content::WorkPool& pool) {
  const int count = batch.images_size();
  DecodedImages decoded;
  decoded.errors.resize(count);
  ATTUNE_RETURN_IF_ERROR(model::CatchTorchErrors([&] {
    decoded.pixels = at::zeros({count, size, size, 3}, at::kByte);
    return absl::OkStatus();
  }));
  auto* const pixels = decoded.pixels.mutable_data_ptr<uint8_t>();
  const size_t image_bytes = static_cast<size_t>(size) * size * 3;
  for (int i = 0; i < count; ++i) {
    pool.Add([&, i] {
      decoded.errors[i] = decoder.Preprocess(
          batch.images(i), size, {pixels + i * image_bytes, image_bytes});
    });
  }
  pool.Wait();
  return decoded;
}

// Normalised embeddings as fp32 on the CPU, [items, D].
absl::StatusOr<at::Tensor> Embed(const content::LoadedVersion& version,
                                 const v1::ServeResponse::Batch& batch,
                                 const at::Tensor& pixels,
                                 const at::Device& device) {
  return model::CatchTorchErrors([&]() -> absl::StatusOr<at::Tensor> {
    const c10::InferenceMode inference;
    at::Tensor embeddings;
    if (pixels.defined()) {
      embeddings = model::EncodeImages(version.config, version.tensors,
                                       model::Upload(pixels, device));
    } else {
      std::vector<std::vector<int32_t>> rows;
      for (const v1::ServeResponse::TokenRow& text : batch.texts()) {
        rows.emplace_back(text.tokens().begin(), text.tokens().end());
      }
      ATTUNE_ASSIGN_OR_RETURN(const model::TextBatch texts,
                              model::PackTexts(rows, version.config));
      embeddings =
          model::EncodeTexts(version.config, version.tensors, texts.To(device));
    }
    return model::Normalised(embeddings).to(at::kCPU).contiguous();
  });
}

// The errors of single items, whose embeddings become zeros.
void AddItemErrors(const std::vector<absl::Status>& errors, int64_t dimensions,
                   v1::ServeRequest::BatchResult* result) {
  for (size_t i = 0; i < errors.size(); ++i) {
    if (errors[i].ok()) continue;
    std::fill_n(result->mutable_embeddings()->begin() + i * dimensions,
                dimensions, 0.0F);
    v1::ServeRequest::BatchItemError& error = *result->add_errors();
    error.set_item(static_cast<int32_t>(i));
    *error.mutable_error() = ToItemError(errors[i]);
  }
}

}  // namespace

v1::ItemError ToItemError(const absl::Status& status) {
  v1::ItemError error;
  error.set_code(static_cast<int>(status.code()));
  error.set_reason(ErrorReason(status));
  error.set_message(std::string(status.message()));
  return error;
}

v1::ServeRequest::BatchResult RunBatch(const content::LoadedVersion& version,
                                       const v1::ServeResponse::Batch& batch,
                                       const at::Device& device,
                                       decode::PictureDecoder& decoder,
                                       content::WorkPool& pool) {
  v1::ServeRequest::BatchResult result;
  result.set_batch_id(batch.batch_id());
  const int64_t dimensions = version.config.embedding_size;
  absl::StatusOr<DecodedImages> decoded;
  if (batch.images_size() > 0) {
    decoded = Decode(batch, version.config.image_size, decoder, pool);
    if (!decoded.ok()) {
      *result.mutable_error() = ToItemError(decoded.status());
      return result;
    }
  } else {
    decoded.emplace();
  }
  const std::vector<absl::Status>& errors = decoded->errors;
  const bool all_broken =
      !errors.empty() &&
      std::none_of(errors.begin(), errors.end(),
                   [](const absl::Status& status) { return status.ok(); });
  if (all_broken) {
    // Nothing to compute: every item gets zeros below.
    result.mutable_embeddings()->Resize(
        static_cast<int>(errors.size() * dimensions), 0.0F);
  } else {
    const absl::Time begin = absl::Now();
    const absl::StatusOr<at::Tensor> embeddings =
        Embed(version, batch, decoded->pixels, device);
    *result.mutable_forward_time() = ToProtoDuration(absl::Now() - begin);
    if (!embeddings.ok()) {
      *result.mutable_error() = ToItemError(embeddings.status());
      return result;
    }
    const float* const values = embeddings->const_data_ptr<float>();
    result.mutable_embeddings()->Add(values, values + embeddings->numel());
  }
  AddItemErrors(errors, dimensions, &result);
  return result;
}

}  // namespace attune::serve
