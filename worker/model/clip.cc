#include "worker/model/clip.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <array>
#include <vector>

#include "worker/model/bf16_products.h"
#include "worker/model/transformer.h"
#include "worker/model/upload.h"

namespace attune::model {
namespace {

// Patches as rows in the order of conv1's weight: [B, G·G, 3·P·P], G patches
// a side, so that the convolution is one matrix product.
at::Tensor Patches(const ClipConfig& config, const at::Tensor& pixels,
                   at::ScalarType type) {
  const int64_t batch = pixels.size(0);
  const int64_t patch = config.patch_size;
  const int64_t grid = config.image_size / patch;
  at::Tensor patches;
  if (pixels.scalar_type() == at::kByte) {
    // [B, G, P, G, P, 3] → [B, G, G, 3, P, P]
    patches = pixels.view({batch, grid, patch, grid, patch, 3})
                  .permute({0, 1, 3, 5, 2, 4})
                  .to(type, /*non_blocking=*/false, /*copy=*/true,
                      at::MemoryFormat::Contiguous);
    std::array<float, 3> scale, shift;
    for (int c = 0; c < 3; ++c) {
      scale[c] = 1 / (255 * config.pixel_deviation[c]);
      shift[c] = -config.pixel_mean[c] / config.pixel_deviation[c];
    }
    const auto channels = [&](const std::array<float, 3>& values) {
      return Upload(at::tensor(at::ArrayRef<float>(values)).to(type),
                    patches.device())
          .view({3, 1, 1});
    };
    patches.mul_(channels(scale)).add_(channels(shift));
  } else {
    // [B, 3, G, P, G, P] → [B, G, G, 3, P, P]
    patches = pixels.view({batch, 3, grid, patch, grid, patch})
                  .permute({0, 2, 4, 1, 3, 5})
                  .to(type);
  }
  return patches.reshape({batch, grid * grid, 3 * patch * patch});
}

// [B, 3, S, S], as the convolution takes them.
at::Tensor PlanarPixels(const ClipConfig& config, const at::Tensor& pixels,
                        at::ScalarType type) {
  const int64_t side = config.image_size, patch = config.patch_size;
  const int64_t grid = side / patch;
  // [B, G, G, 3, P, P] → [B, 3, G, P, G, P]
  return Patches(config, pixels, type)
      .view({-1, grid, grid, 3, patch, patch})
      .permute({0, 3, 1, 4, 2, 5})
      .reshape({-1, 3, side, side});
}

// [B, G·G, W]
at::Tensor PatchEmbedding(const ClipConfig& config, const Tensors& tensors,
                          const at::Tensor& pixels,
                          const EncodeOptions& options) {
  const at::Tensor& weight = tensors.at("visual.conv1.weight");
  if (options.patches_as_product) {
    return at::matmul(Patches(config, pixels, weight.scalar_type()),
                      weight.view({weight.size(0), -1}).t());
  }
  return at::conv2d(PlanarPixels(config, pixels, weight.scalar_type()), weight,
                    {}, config.patch_size)
      .flatten(2)
      .transpose(1, 2);
}

Blocks ImageBlocks(const ClipConfig& config, const Tensors& tensors,
                   const EncodeOptions& options) {
  return {tensors, "visual.transformer.resblocks.", config.vision_layers,
          config.activation, options};
}

Blocks TextBlocks(const ClipConfig& config, const Tensors& tensors,
                  const EncodeOptions& options) {
  return {tensors, "transformer.resblocks.", config.text_layers,
          config.activation, options};
}

Sequences ImageSequences(const ClipConfig& config, int64_t batch) {
  const int64_t width = config.vision_width, heads = config.vision_heads;
  return {.attend =
              [batch, heads](const at::Tensor& query, const at::Tensor& key,
                             const at::Tensor& value, bool) {
                return Attend(query, key, value, batch, heads, {});
              },
          // The class token is the first of each sequence.
          .pick =
              [batch, width](const at::Tensor& rows) {
                return rows.view({batch, -1, width}).select(1, 0);
              }};
}

// `batch` must outlive the result.
Sequences TextSequences(const ClipConfig& config, const TextBatch& batch) {
  std::vector<int64_t> rows, readouts;
  for (const TextBatch::Group& group : batch.groups) {
    rows.push_back(group.rows);
    readouts.push_back(group.readouts);
  }
  const int64_t heads = config.text_heads;
  return {
      .attend =
          [&batch, heads, rows, readouts](
              const at::Tensor& query, const at::Tensor& key,
              const at::Tensor& value, bool readout) {
            const auto queries =
                at::split_with_sizes(query, readout ? readouts : rows);
            const auto keys = at::split_with_sizes(key, rows);
            const auto values = at::split_with_sizes(value, rows);
            std::vector<at::Tensor> mixed;
            for (size_t g = 0; g < rows.size(); ++g) {
              const TextBatch::Group& group = batch.groups[g];
              mixed.push_back(Attend(queries[g], keys[g], values[g], 1, heads,
                                     (readout ? group.readout_mask : group.mask)
                                         .to(query.scalar_type())));
            }
            return mixed.size() == 1 ? mixed[0] : at::cat(mixed);
          },
      .pick =
          [&batch](const at::Tensor& all) {
            return all.index_select(0, batch.readout_rows);
          }};
}

}  // namespace

at::Tensor ImageStates(const ClipConfig& config, const Tensors& tensors,
                       const at::Tensor& pixels, int blocks,
                       const EncodeOptions& options) {
  const int64_t batch = pixels.size(0);
  const int64_t width = config.vision_width;
  const Bf16Products bf16(pixels.device().type(), options.bf16_products);
  at::Tensor x =
      at::cat({tensors.at("visual.class_embedding").expand({batch, 1, width}),
               PatchEmbedding(config, tensors, pixels, options)},
              1) +
      tensors.at("visual.positional_embedding");  // [B, T, W]
  x = RunBlocks(LayerNorm(x, tensors, "visual.ln_pre").view({-1, width}),
                ImageBlocks(config, tensors, options), blocks,
                ImageSequences(config, batch));
  return x.view({batch, -1, width});
}

at::Tensor ImagesFromStates(const ClipConfig& config, const Tensors& tensors,
                            const at::Tensor& states, int blocks,
                            const EncodeOptions& options) {
  at::Tensor x;
  {
    const Bf16Products bf16(states.device().type(), options.bf16_products);
    x = ReadoutOfBlocks(states.reshape({-1, config.vision_width}),
                        ImageBlocks(config, tensors, options), blocks,
                        ImageSequences(config, states.size(0)));
  }
  return at::mm(LayerNorm(x, tensors, "visual.ln_post"),
                tensors.at("visual.proj"));
}

at::Tensor EncodeImages(const ClipConfig& config, const Tensors& tensors,
                        const at::Tensor& pixels,
                        const EncodeOptions& options) {
  if (pixels.size(0) == 0) {
    return at::empty({0, config.embedding_size},
                     tensors.at("visual.proj").options());
  }
  return ImagesFromStates(config, tensors,
                          ImageStates(config, tensors, pixels, 0, options), 0,
                          options);
}

at::Tensor TextStates(const ClipConfig& config, const Tensors& tensors,
                      const TextBatch& batch, int blocks,
                      const EncodeOptions& options) {
  const Bf16Products bf16(batch.tokens.device().type(), options.bf16_products);
  const at::Tensor x =
      at::embedding(tensors.at("token_embedding.weight"), batch.tokens) +
      at::embedding(tensors.at("positional_embedding"), batch.positions);
  return RunBlocks(x, TextBlocks(config, tensors, options), blocks,
                   TextSequences(config, batch));
}

at::Tensor TextsFromStates(const ClipConfig& config, const Tensors& tensors,
                           const TextBatch& batch, const at::Tensor& states,
                           int blocks, const EncodeOptions& options) {
  at::Tensor x;
  {
    const Bf16Products bf16(states.device().type(), options.bf16_products);
    x = ReadoutOfBlocks(states, TextBlocks(config, tensors, options), blocks,
                        TextSequences(config, batch));
  }
  const at::Tensor embeddings =
      at::mm(LayerNorm(x, tensors, "ln_final"), tensors.at("text_projection"));
  return embeddings.index_select(0, batch.text_index);
}

at::Tensor EncodeTexts(const ClipConfig& config, const Tensors& tensors,
                       const TextBatch& batch, const EncodeOptions& options) {
  if (batch.text_count() == 0) {
    return at::empty({0, config.embedding_size},
                     tensors.at("text_projection").options());
  }
  return TextsFromStates(config, tensors, batch,
                         TextStates(config, tensors, batch, 0, options), 0,
                         options);
}

at::Tensor Normalised(const at::Tensor& embeddings) {
  return embeddings / embeddings.norm(2, -1, /*keepdim=*/true);
}

}  // namespace attune::model
