#include "tests/common/image/reference_resize.h"

#include <algorithm>
#include <cmath>

namespace attune::image::test {
namespace {

// Weights of one output position and the input position of the first.
struct Position {
  int first;
  std::vector<int> weights;
};

Position FilterAt(int in_size, int out_size, int position) {
  const double scale = static_cast<double>(in_size) / out_size;
  const double widening = std::max(1.0, scale);
  const double center = (position + 0.5) * scale;
  const int first = std::max(0, static_cast<int>(center - 2 * widening + 0.5));
  const int end =
      std::min(in_size, static_cast<int>(center + 2 * widening + 0.5));
  std::vector<double> exact;
  double sum = 0;
  for (int i = first; i < end; ++i) {
    const double x = std::abs((i - center + 0.5) * (1.0 / widening));
    double weight = 0;
    if (x < 1) {
      weight = (1.5 * x - 2.5) * x * x + 1;
    } else if (x < 2) {
      weight = (((x - 5) * x + 8) * x - 4) * -0.5;
    }
    exact.push_back(weight);
    sum += weight;
  }
  Position result{first, {}};
  for (double weight : exact) {
    result.weights.push_back(
        static_cast<int>(std::round(weight / sum * (1 << 22))));
  }
  return result;
}

// `stride` is the distance of neighbours along the axis.
uint8_t Filtered(const Position& position, const uint8_t* in, size_t stride) {
  int64_t sum = 1 << 21;
  for (size_t k = 0; k < position.weights.size(); ++k) {
    sum += int64_t{position.weights[k]} * in[(position.first + k) * stride];
  }
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> 22, 0, 255));
}

}  // namespace

RgbImage SyntheticImage(int width, int height) {
  RgbImage image{width, height, {}};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        const int64_t value =
            x * x + 3 * y * y + x * y * (channel + 1) + 300 * channel;
        image.pixels.push_back(static_cast<uint8_t>(value >> 3));
      }
    }
  }
  return image;
}

RgbImage ReferenceResize(const RgbImage& image, int width, int height) {
  RgbImage wide{width, image.height, {}};
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < width; ++x) {
      const Position position = FilterAt(image.width, width, x);
      for (int channel = 0; channel < 3; ++channel) {
        wide.pixels.push_back(Filtered(position, image.row(y) + channel, 3));
      }
    }
  }
  RgbImage out{width, height, {}};
  for (int y = 0; y < height; ++y) {
    const Position position = FilterAt(image.height, height, y);
    for (int i = 0; i < 3 * width; ++i) {
      out.pixels.push_back(
          Filtered(position, wide.pixels.data() + i, size_t{3} * width));
    }
  }
  return out;
}

std::vector<uint8_t> ReferencePreprocess(const RgbImage& image, int size) {
  const int shorter = std::min(image.width, image.height);
  const auto side = [&](int64_t in) {
    return in == shorter ? size : static_cast<int>(size * in / shorter);
  };
  const RgbImage resized =
      ReferenceResize(image, side(image.width), side(image.height));
  // Rounds halves to even, as Python.
  const int left =
      static_cast<int>(std::nearbyint((resized.width - size) / 2.0));
  const int top =
      static_cast<int>(std::nearbyint((resized.height - size) / 2.0));
  std::vector<uint8_t> out;
  for (int y = 0; y < size; ++y) {
    const uint8_t* row = resized.row(top + y) + 3 * left;
    out.insert(out.end(), row, row + 3 * size);
  }
  return out;
}

}  // namespace attune::image::test
