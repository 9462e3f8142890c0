#include "tests/worker/model/reference_clip.h"

#include <ATen/Functions.h>

#include <cmath>

#include "absl/strings/str_cat.h"

namespace attune::model::reference {
namespace {

// Rows of `width` values each.
using Rows = std::vector<Values>;

Values LayerNorm(const Values& x, const Weights& weights,
                 const std::string& name) {
  const Values& gain = weights.at(name + ".weight");
  const Values& bias = weights.at(name + ".bias");
  double mean = 0, variance = 0;
  for (double value : x) mean += value / x.size();
  for (double value : x) variance += (value - mean) * (value - mean) / x.size();
  Values y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    y[i] = (x[i] - mean) / std::sqrt(variance + 1e-5) * gain[i] + bias[i];
  }
  return y;
}

// y_o = Σ_i matrix[o, i] x_i + bias_o
Values Linear(const Values& x, const Values& matrix, const Values& bias) {
  Values y = bias;
  for (size_t o = 0; o < y.size(); ++o) {
    for (size_t i = 0; i < x.size(); ++i)
      y[o] += matrix[o * x.size() + i] * x[i];
  }
  return y;
}

// y_o = Σ_i x_i matrix[i, o]
Values Project(const Values& x, const Values& matrix) {
  Values y(matrix.size() / x.size());
  for (size_t o = 0; o < y.size(); ++o) {
    for (size_t i = 0; i < x.size(); ++i)
      y[o] += x[i] * matrix[i * y.size() + o];
  }
  return y;
}

double Activate(double x, Activation activation) {
  return activation == Activation::kGelu
             ? x * 0.5 * (1 + std::erf(x / std::sqrt(2)))
             : x / (1 + std::exp(-1.702 * x));
}

Rows Attention(const Rows& x, const Weights& weights, const std::string& name,
               int heads, bool causal) {
  const size_t width = x[0].size(), head_width = width / heads;
  Rows qkv;
  for (const Values& row : x) {
    qkv.push_back(Linear(row, weights.at(name + ".in_proj_weight"),
                         weights.at(name + ".in_proj_bias")));
  }
  Rows y;
  for (size_t t = 0; t < x.size(); ++t) {
    Values mixed(width);
    for (int head = 0; head < heads; ++head) {
      const size_t first = head * head_width;
      Values share;
      double sum = 0;
      for (size_t s = 0; s < (causal ? t + 1 : x.size()); ++s) {
        double score = 0;
        for (size_t i = first; i < first + head_width; ++i) {
          score += qkv[t][i] * qkv[s][width + i];
        }
        share.push_back(std::exp(score / std::sqrt(head_width)));
        sum += share.back();
      }
      for (size_t s = 0; s < share.size(); ++s) {
        for (size_t i = first; i < first + head_width; ++i) {
          mixed[i] += share[s] / sum * qkv[s][2 * width + i];
        }
      }
    }
    y.push_back(Linear(mixed, weights.at(name + ".out_proj.weight"),
                       weights.at(name + ".out_proj.bias")));
  }
  return y;
}

void Blocks(Rows& x, const Weights& weights, const std::string& prefix,
            int layers, int heads, bool causal, Activation activation) {
  for (int layer = 0; layer < layers; ++layer) {
    const std::string block = absl::StrCat(prefix, layer, ".");
    Rows normalised;
    for (const Values& row : x) {
      normalised.push_back(LayerNorm(row, weights, block + "ln_1"));
    }
    const Rows mixed =
        Attention(normalised, weights, block + "attn", heads, causal);
    for (size_t t = 0; t < x.size(); ++t) {
      for (size_t i = 0; i < x[t].size(); ++i) x[t][i] += mixed[t][i];
      Values hidden = Linear(LayerNorm(x[t], weights, block + "ln_2"),
                             weights.at(block + "mlp.c_fc.weight"),
                             weights.at(block + "mlp.c_fc.bias"));
      for (double& value : hidden) value = Activate(value, activation);
      const Values out = Linear(hidden, weights.at(block + "mlp.c_proj.weight"),
                                weights.at(block + "mlp.c_proj.bias"));
      for (size_t i = 0; i < x[t].size(); ++i) x[t][i] += out[i];
    }
  }
}

}  // namespace

Weights ToDouble(const Tensors& tensors) {
  Weights weights;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor values =
        tensor.detach().to(at::kDouble).contiguous().view({-1});
    weights[name].assign(values.data_ptr<double>(),
                         values.data_ptr<double>() + values.numel());
  }
  return weights;
}

Values EncodeImage(const ClipConfig& config, const Weights& weights,
                   const Values& pixels) {
  const int side = config.image_size, patch = config.patch_size;
  const int width = config.vision_width;
  const Values& kernel = weights.at("visual.conv1.weight");
  const Values& positions = weights.at("visual.positional_embedding");
  Rows x = {weights.at("visual.class_embedding")};
  for (int top = 0; top < side; top += patch) {
    for (int left = 0; left < side; left += patch) {
      Values token(width);
      for (int o = 0; o < width; ++o) {
        for (int c = 0; c < 3; ++c) {
          for (int i = 0; i < patch; ++i) {
            for (int j = 0; j < patch; ++j) {
              token[o] += kernel[((o * 3 + c) * patch + i) * patch + j] *
                          pixels[(c * side + top + i) * side + left + j];
            }
          }
        }
      }
      x.push_back(token);
    }
  }
  for (size_t t = 0; t < x.size(); ++t) {
    for (int i = 0; i < width; ++i) x[t][i] += positions[t * width + i];
    x[t] = LayerNorm(x[t], weights, "visual.ln_pre");
  }
  Blocks(x, weights, "visual.transformer.resblocks.", config.vision_layers,
         config.vision_heads, /*causal=*/false, config.activation);
  return Project(LayerNorm(x[0], weights, "visual.ln_post"),
                 weights.at("visual.proj"));
}

Values EncodeText(const ClipConfig& config, const Weights& weights,
                  const std::vector<int32_t>& tokens) {
  const int width = config.text_width;
  Rows x;
  for (size_t t = 0; t < tokens.size(); ++t) {
    Values token(width);
    for (int i = 0; i < width; ++i) {
      token[i] = weights.at("token_embedding.weight")[tokens[t] * width + i] +
                 weights.at("positional_embedding")[t * width + i];
    }
    x.push_back(token);
  }
  Blocks(x, weights, "transformer.resblocks.", config.text_layers,
         config.text_heads, /*causal=*/true, config.activation);
  return Project(LayerNorm(x.back(), weights, "ln_final"),
                 weights.at("text_projection"));
}

}  // namespace attune::model::reference
