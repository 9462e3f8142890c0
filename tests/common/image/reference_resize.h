// The plain twins of what preprocess.h computes with vectors and only where
// the square needs it.

#ifndef ATTUNE_TESTS_COMMON_IMAGE_REFERENCE_RESIZE_H_
#define ATTUNE_TESTS_COMMON_IMAGE_REFERENCE_RESIZE_H_

#include <cstdint>
#include <vector>

#include "common/image/rgb_image.h"

namespace attune::image::test {

// The picture of tests/golden/generate_images.py.
RgbImage SyntheticImage(int width, int height);

// Pillow's resize of the whole image, one pixel after another.
RgbImage ReferenceResize(const RgbImage& image, int width, int height);

// The same resize and the centre square cut out afterwards.
std::vector<uint8_t> ReferencePreprocess(const RgbImage& image, int size);

}  // namespace attune::image::test

#endif  // ATTUNE_TESTS_COMMON_IMAGE_REFERENCE_RESIZE_H_
