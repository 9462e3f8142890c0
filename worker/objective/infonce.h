// Symmetric cross-entropy over a batch of images and their captions
// (InfoNCE, arXiv 2103.00020 for CLIP), with several positives a row as in
// supervised contrastive learning (arXiv 2004.11362) and UniCL (2204.03610).
//
//     P[i, j] = 1 when image i is a positive of caption j
//     loss = ½ mean_i −Σ_j P[i, j] / Σ_j' P[i, j'] · log softmax_j l[i, ·]
//          + ½ mean_j −Σ_i P[i, j] / Σ_i' P[i', j] · log softmax_i l[·, j]
//
// Its value depends on the whole batch: it does not split over micro-batches.

#ifndef ATTUNE_WORKER_OBJECTIVE_INFONCE_H_
#define ATTUNE_WORKER_OBJECTIVE_INFONCE_H_

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

namespace attune::objective {

// Such as {"class": "ball", "color": "red"}.
using Attributes = std::map<std::string, std::string>;

// Whether an image with attributes `image` fits a caption that says `caption`:
// they share at least one attribute, and every attribute that both have is
// equal. So "a red ball" fits a red ball and a ball of unknown colour, not a
// blue one; "a ball" fits every ball; a caption without attributes fits
// nothing.
bool Agree(const Attributes& image, const Attributes& caption);

// P [B, B] float32 on the CPU: rows images, columns captions; P[i, j] = 1 when
// i = j or Agree(images[i], captions[j]). Both lists have B entries, caption i
// is that of image i.
at::Tensor Positives(const std::vector<const Attributes*>& images,
                     const std::vector<const Attributes*>& captions);

// The loss [] of `logits` [B, B] (rows images, columns captions). `positives`
// [B, B] of 0 and 1 in the dtype of the logits, without an empty row or
// column.
at::Tensor InfoNce(const at::Tensor& logits, const at::Tensor& positives);

}  // namespace attune::objective

#endif  // ATTUNE_WORKER_OBJECTIVE_INFONCE_H_
