#include <algorithm>
#include <cmath>

#include "common/image/resample.h"

namespace attune::image {
namespace {

constexpr double kSupport = 2.0;

double Bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

}  // namespace

AxisFilter BicubicFilter(int in_size, int out_size, int begin, int size) {
  const double scale = static_cast<double>(in_size) / out_size;
  const double widening = std::max(scale, 1.0);
  const double support = kSupport * widening;
  const double step = 1.0 / widening;

  AxisFilter filter;
  filter.stride = static_cast<int>(std::ceil(support)) * 2 + 1;
  filter.weights.resize(static_cast<size_t>(filter.stride) * size);
  std::vector<double> exact(filter.stride);
  for (int i = 0; i < size; ++i) {
    const double center = (begin + i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int end = std::min(in_size, static_cast<int>(center + support + 0.5));
    const int count = end - first;
    double sum = 0.0;
    for (int k = 0; k < count; ++k) {
      exact[k] = Bicubic((k + first - center + 0.5) * step);
      sum += exact[k];
    }
    int32_t* weights = &filter.weights[static_cast<size_t>(filter.stride) * i];
    for (int k = 0; k < count; ++k) {
      if (sum != 0.0) exact[k] /= sum;
      const double fixed = exact[k] * (1 << kWeightBits);
      weights[k] = static_cast<int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
    filter.first.push_back(first);
    filter.count.push_back(count);
  }
  return filter;
}

}  // namespace attune::image
