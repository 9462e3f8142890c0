#include "worker/model/transformer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/model/quick_gelu.h"

namespace attune::model {
namespace {

constexpr double kLayerNormEpsilon = 1e-5;

at::Tensor Linear(const at::Tensor& x, const Tensors& tensors,
                  const std::string& name) {
  return at::linear(x, tensors.at(name + ".weight"),
                    tensors.at(name + ".bias"));
}

at::Tensor Activate(at::Tensor x, const Blocks& blocks) {
  if (blocks.activation == Activation::kGelu) return at::gelu(x);
  return blocks.options.fused_quick_gelu ? QuickGelu(std::move(x))
                                         : PlainQuickGelu(x);
}

// x [Q, W] → x + c_proj(activation(c_fc(ln_2(x)))).
at::Tensor AddMlp(const at::Tensor& x, const Blocks& blocks,
                  const std::string& block) {
  const at::Tensor hidden =
      Activate(Linear(LayerNorm(x, blocks.tensors, block + "ln_2"),
                      blocks.tensors, block + "mlp.c_fc"),
               blocks);
  return x + Linear(hidden, blocks.tensors, block + "mlp.c_proj");
}

// One block; [R, W] → [R, W].
at::Tensor Block(const at::Tensor& x, const Blocks& blocks,
                 const std::string& block, const Sequences& sequences) {
  const Tensors& tensors = blocks.tensors;
  const at::Tensor qkv = at::linear(LayerNorm(x, tensors, block + "ln_1"),
                                    tensors.at(block + "attn.in_proj_weight"),
                                    tensors.at(block + "attn.in_proj_bias"));
  const std::vector<at::Tensor> parts = at::chunk(qkv, 3, 1);
  return AddMlp(x + Linear(sequences.attend(parts[0], parts[1], parts[2],
                                            /*readout=*/false),
                           tensors, block + "attn.out_proj"),
                blocks, block);
}

// The same block for the rows that are read out alone; [R, W] → [Q, W].
at::Tensor ReadoutBlock(const at::Tensor& x, const Blocks& blocks,
                        const std::string& block, const Sequences& sequences) {
  const Tensors& tensors = blocks.tensors;
  const int64_t width = x.size(1);
  const at::Tensor h = LayerNorm(x, tensors, block + "ln_1");
  const std::vector<at::Tensor> weights = at::split_with_sizes(
      tensors.at(block + "attn.in_proj_weight"), {width, 2 * width});
  const std::vector<at::Tensor> biases = at::split_with_sizes(
      tensors.at(block + "attn.in_proj_bias"), {width, 2 * width});
  const at::Tensor query = at::linear(sequences.pick(h), weights[0], biases[0]);
  const std::vector<at::Tensor> parts =
      at::chunk(at::linear(h, weights[1], biases[1]), 2, 1);
  return AddMlp(
      sequences.pick(x) +
          Linear(sequences.attend(query, parts[0], parts[1], /*readout=*/true),
                 tensors, block + "attn.out_proj"),
      blocks, block);
}

std::string Name(const Blocks& blocks, int number) {
  return absl::StrCat(blocks.prefix, number, ".");
}

}  // namespace

at::Tensor LayerNorm(const at::Tensor& x, const Tensors& tensors,
                     const std::string& name) {
  const at::Tensor& weight = tensors.at(name + ".weight");
  return at::layer_norm(x, weight.sizes(), weight, tensors.at(name + ".bias"),
                        kLayerNormEpsilon);
}

at::Tensor RunBlocks(at::Tensor x, const Blocks& blocks, int end,
                     const Sequences& sequences) {
  for (int number = 0; number < end; ++number) {
    x = Block(x, blocks, Name(blocks, number), sequences);
  }
  return x;
}

at::Tensor ReadoutOfBlocks(at::Tensor x, const Blocks& blocks, int begin,
                           const Sequences& sequences) {
  for (int number = begin; number < blocks.count; ++number) {
    if (number == blocks.count - 1 && blocks.options.readout_only) {
      return ReadoutBlock(x, blocks, Name(blocks, number), sequences);
    }
    x = Block(x, blocks, Name(blocks, number), sequences);
  }
  return sequences.pick(x);
}

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

}  // namespace attune::model
