#include "worker/model/clip.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <array>
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace attune::model {
namespace {

constexpr double kLayerNormEpsilon = 1e-5;
constexpr double kQuickGeluSlope = 1.702;

at::Tensor LayerNorm(const at::Tensor& x, const Tensors& tensors,
                     const std::string& name) {
  const at::Tensor& weight = tensors.at(name + ".weight");
  return at::layer_norm(x, weight.sizes(), weight, tensors.at(name + ".bias"),
                        kLayerNormEpsilon);
}

at::Tensor Linear(const at::Tensor& x, const Tensors& tensors,
                  const std::string& name) {
  return at::linear(x, tensors.at(name + ".weight"),
                    tensors.at(name + ".bias"));
}

// [Q, W] → [Q, W]: c_proj(activation(c_fc(x))).
at::Tensor Mlp(const at::Tensor& x, const Tensors& tensors,
               const std::string& block, Activation activation) {
  if (activation == Activation::kGelu) {
    return Linear(at::gelu(Linear(x, tensors, block + "mlp.c_fc")), tensors,
                  block + "mlp.c_proj");
  }
  // x·σ(cx) = silu(cx) / c, and both factors are free within the products.
  const at::Tensor scaled = at::addmm(tensors.at(block + "mlp.c_fc.bias"), x,
                                      tensors.at(block + "mlp.c_fc.weight").t(),
                                      kQuickGeluSlope, kQuickGeluSlope);
  return at::addmm(tensors.at(block + "mlp.c_proj.bias"), at::silu(scaled),
                   tensors.at(block + "mlp.c_proj.weight").t(), 1,
                   1 / kQuickGeluSlope);
}

// How the rows of a tower's sequences attend to each other, and which rows
// are read out.
struct Sequences {
  // Query [Q, W], key and value [R, W] of all R rows → [Q, W]. Q is R, or
  // with `readout` the rows that are read out.
  std::function<at::Tensor(const at::Tensor& query, const at::Tensor& key,
                           const at::Tensor& value, bool readout)>
      attend;
  // [R, W] → the rows that are read out.
  std::function<at::Tensor(const at::Tensor& rows)> pick;
};

// One residual attention block; [R, W] → [R, W].
at::Tensor Block(const at::Tensor& x, const Tensors& tensors,
                 const std::string& block, const Sequences& sequences,
                 Activation activation) {
  const at::Tensor qkv = at::linear(LayerNorm(x, tensors, block + "ln_1"),
                                    tensors.at(block + "attn.in_proj_weight"),
                                    tensors.at(block + "attn.in_proj_bias"));
  const std::vector<at::Tensor> parts = at::chunk(qkv, 3, 1);
  const at::Tensor y =
      x + Linear(sequences.attend(parts[0], parts[1], parts[2], false), tensors,
                 block + "attn.out_proj");
  return y +
         Mlp(LayerNorm(y, tensors, block + "ln_2"), tensors, block, activation);
}

// The same block for the rows that are read out alone; [R, W] → [Q, W].
at::Tensor ReadoutBlock(const at::Tensor& x, const Tensors& tensors,
                        const std::string& block, const Sequences& sequences,
                        Activation activation) {
  const int64_t width = x.size(1);
  const at::Tensor h = LayerNorm(x, tensors, block + "ln_1");
  const std::vector<at::Tensor> weights = at::split_with_sizes(
      tensors.at(block + "attn.in_proj_weight"), {width, 2 * width});
  const std::vector<at::Tensor> biases = at::split_with_sizes(
      tensors.at(block + "attn.in_proj_bias"), {width, 2 * width});
  const at::Tensor query = at::linear(sequences.pick(h), weights[0], biases[0]);
  const std::vector<at::Tensor> parts =
      at::chunk(at::linear(h, weights[1], biases[1]), 2, 1);
  const at::Tensor y = sequences.pick(x) +
                       Linear(sequences.attend(query, parts[0], parts[1], true),
                              tensors, block + "attn.out_proj");
  return y +
         Mlp(LayerNorm(y, tensors, block + "ln_2"), tensors, block, activation);
}

// [R, W] → the rows that are read out, after all blocks.
at::Tensor Transformer(at::Tensor x, const Tensors& tensors,
                       absl::string_view prefix, int layers,
                       const Sequences& sequences, Activation activation,
                       const EncodeOptions& options) {
  for (int layer = 0; layer < layers; ++layer) {
    const std::string block = absl::StrCat(prefix, layer, ".");
    if (layer == layers - 1 && options.readout_only) {
      return ReadoutBlock(x, tensors, block, sequences, activation);
    }
    x = Block(x, tensors, block, sequences, activation);
  }
  return sequences.pick(x);
}

// Scaled dot-product attention over sequences of equal length.
// query [B·Q, W], key and value [B·T, W] → [B·Q, W].
at::Tensor Attend(const at::Tensor& query, const at::Tensor& key,
                  const at::Tensor& value, int64_t batch, int64_t heads,
                  const std::optional<at::Tensor>& mask) {
  const int64_t width = query.size(1);
  const auto by_head = [&](const at::Tensor& rows) {
    return rows.view({batch, -1, heads, width / heads})
        .transpose(1, 2);  // [B, H, T, W/H]
  };
  const at::Tensor mixed = at::scaled_dot_product_attention(
      by_head(query), by_head(key), by_head(value), mask);
  return mixed.transpose(1, 2).reshape({query.size(0), width});
}

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
      return at::tensor(at::ArrayRef<float>(values))
          .to(patches.device(), type)
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

}  // namespace

at::Tensor EncodeImages(const ClipConfig& config, const Tensors& tensors,
                        const at::Tensor& pixels,
                        const EncodeOptions& options) {
  const int64_t batch = pixels.size(0);
  const int64_t width = config.vision_width;
  if (batch == 0) {
    return at::empty({0, config.embedding_size},
                     tensors.at("visual.proj").options());
  }
  const at::Tensor& weight = tensors.at("visual.conv1.weight");
  const at::Tensor patches =
      at::matmul(Patches(config, pixels, weight.scalar_type()),
                 weight.view({width, -1}).t());  // [B, G·G, W]
  at::Tensor x =
      at::cat({tensors.at("visual.class_embedding").expand({batch, 1, width}),
               patches},
              1) +
      tensors.at("visual.positional_embedding");  // [B, T, W]
  x = LayerNorm(x, tensors, "visual.ln_pre").view({-1, width});

  const Sequences sequences = {
      .attend =
          [&](const at::Tensor& query, const at::Tensor& key,
              const at::Tensor& value, bool) {
            return Attend(query, key, value, batch, config.vision_heads, {});
          },
      // The class token is the first of each sequence.
      .pick =
          [&](const at::Tensor& rows) {
            return rows.view({batch, -1, width}).select(1, 0);
          }};
  x = Transformer(x, tensors, "visual.transformer.resblocks.",
                  config.vision_layers, sequences, config.activation, options);
  return at::mm(LayerNorm(x, tensors, "visual.ln_post"),
                tensors.at("visual.proj"));
}

at::Tensor EncodeTexts(const ClipConfig& config, const Tensors& tensors,
                       const TextBatch& batch, const EncodeOptions& options) {
  if (batch.text_count() == 0) {
    return at::empty({0, config.embedding_size},
                     tensors.at("text_projection").options());
  }
  at::Tensor x =
      at::embedding(tensors.at("token_embedding.weight"), batch.tokens) +
      at::embedding(tensors.at("positional_embedding"), batch.positions);

  std::vector<int64_t> rows, readouts;
  for (const TextBatch::Group& group : batch.groups) {
    rows.push_back(group.rows);
    readouts.push_back(group.readouts);
  }
  const Sequences sequences = {
      .attend =
          [&](const at::Tensor& query, const at::Tensor& key,
              const at::Tensor& value, bool readout) {
            const auto queries =
                at::split_with_sizes(query, readout ? readouts : rows);
            const auto keys = at::split_with_sizes(key, rows);
            const auto values = at::split_with_sizes(value, rows);
            std::vector<at::Tensor> mixed;
            for (size_t g = 0; g < rows.size(); ++g) {
              const TextBatch::Group& group = batch.groups[g];
              mixed.push_back(Attend(queries[g], keys[g], values[g], 1,
                                     config.text_heads,
                                     (readout ? group.readout_mask : group.mask)
                                         .to(query.scalar_type())));
            }
            return mixed.size() == 1 ? mixed[0] : at::cat(mixed);
          },
      .pick =
          [&](const at::Tensor& all) {
            return all.index_select(0, batch.readout_rows);
          }};
  x = Transformer(x, tensors, "transformer.resblocks.", config.text_layers,
                  sequences, config.activation, options);
  const at::Tensor embeddings =
      at::mm(LayerNorm(x, tensors, "ln_final"), tensors.at("text_projection"));
  return embeddings.index_select(0, batch.text_index);
}

at::Tensor Normalised(const at::Tensor& embeddings) {
  return embeddings / embeddings.norm(2, -1, /*keepdim=*/true);
}

}  // namespace attune::model
