// Which captions of a batch fit which images.

#ifndef ATTUNE_WORKER_OBJECTIVE_POSITIVES_H_
#define ATTUNE_WORKER_OBJECTIVE_POSITIVES_H_

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

}  // namespace attune::objective

#endif  // ATTUNE_WORKER_OBJECTIVE_POSITIVES_H_
