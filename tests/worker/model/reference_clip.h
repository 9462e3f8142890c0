#ifndef ATTUNE_TESTS_WORKER_MODEL_REFERENCE_CLIP_H_
#define ATTUNE_TESTS_WORKER_MODEL_REFERENCE_CLIP_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/safetensors/clip_layout.h"
#include "worker/model/clip.h"

// CLIP once more, in double precision and in plain loops, as the paper and
// OpenAI's model.py define it: a convolution, every token of every text
// separately, every block in full. Slow, and meant to be obviously right.
namespace attune::model::reference {

using Values = std::vector<double>;
// Name → values, row-major.
using Weights = std::map<std::string, Values>;

Weights ToDouble(const Tensors& tensors);

// `pixels` are normalised, [3, S, S]; the result has D values.
Values EncodeImage(const ClipConfig& config, const Weights& weights,
                   const Values& pixels);

// `tokens` end with the end of the text.
Values EncodeText(const ClipConfig& config, const Weights& weights,
                  const std::vector<int32_t>& tokens);

}  // namespace attune::model::reference

#endif  // ATTUNE_TESTS_WORKER_MODEL_REFERENCE_CLIP_H_
