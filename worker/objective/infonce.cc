// Symmetric cross-entropy over a batch of images and their captions
// (InfoNCE, arXiv 2103.00020 for CLIP), with several positives a row as in
// supervised contrastive learning (arXiv 2004.11362) and UniCL (2204.03610).
//
//     P[i, j] = 1 when image i is a positive of caption j
//     loss = ½ mean_i −Σ_j P[i, j] / Σ_j' P[i, j'] · log softmax_j l[i, ·]
//          + ½ mean_j −Σ_i P[i, j] / Σ_i' P[i', j] · log softmax_i l[·, j]
//
// Its value depends on the whole batch: it does not split over micro-batches.

#include <ATen/ops/log_softmax.h>

#include "worker/objective/objective.h"

namespace attune::objective {

Objective InfoNce(const ObjectiveValues&) {
  return CaptionObjective{
      [](const at::Tensor& logits, const at::Tensor& positives) {
        const at::Tensor image_targets = positives / positives.sum(1, true);
        const at::Tensor caption_targets = positives / positives.sum(0, true);
        const at::Tensor image_loss =
            -(image_targets * at::log_softmax(logits, 1)).sum(1).mean();
        const at::Tensor caption_loss =
            -(caption_targets * at::log_softmax(logits, 0)).sum(0).mean();
        return 0.5 * (image_loss + caption_loss);
      }};
}

}  // namespace attune::objective
