#include "client/demo/shapes.h"

#include <array>
#include <cmath>

#include "client/demo/scenes.h"

namespace attune::client {
namespace {

// Points on an arc about `center`, from one angle to another (degrees,
// clockwise from the right since y goes down).
Contour Arc(Point center, double radius, double from, double to, int count) {
  Contour contour;
  for (int i = 0; i < count; ++i) {
    const double angle = (from + (to - from) * i / (count - 1)) * M_PI / 180;
    contour.push_back({center.x + radius * std::cos(angle),
                       center.y + radius * std::sin(angle)});
  }
  return contour;
}

Contour Circle(double radius) { return Arc({0, 0}, radius, 0, 350, 36); }

std::vector<Contour> Star() {
  Contour contour;
  for (int i = 0; i < 10; ++i) {
    const double angle = (-90 + 36 * i) * M_PI / 180;
    const double radius = i % 2 == 0 ? 1.0 : 0.42;
    contour.push_back({radius * std::cos(angle), radius * std::sin(angle)});
  }
  return {contour};
}

std::vector<Contour> Heart() {
  Contour contour = Arc({-0.45, -0.3}, 0.47, 150, 360, 16);
  const Contour right = Arc({0.45, -0.3}, 0.47, 180, 390, 16);
  contour.insert(contour.end(), right.begin(), right.end());
  contour.push_back({0, 0.95});
  return {contour};
}

std::vector<Contour> Moon() {
  Contour contour = Arc({0, 0}, 0.95, 50, 310, 28);
  const Contour inner = Arc({0.42, 0}, 0.75, 285, 75, 24);
  contour.insert(contour.end(), inner.begin(), inner.end());
  return {contour};
}

std::vector<Contour> Fish() {
  Contour body = Arc({-0.2, 0.236}, 0.786, 197.5, 342.5, 16);
  const Contour below = Arc({-0.2, -0.236}, 0.786, 17.5, 162.5, 16);
  body.insert(body.end(), below.begin(), below.end());
  return {body, {{0.55, 0}, {1.0, -0.55}, {1.0, 0.55}}};
}

std::array<std::vector<Contour>, kClassCount> MakeShapes() {
  return {
      std::vector<Contour>{Circle(0.92)},
      {{{-0.8, -0.8}, {0.8, -0.8}, {0.8, 0.8}, {-0.8, 0.8}}},
      Star(),
      {{{-0.3, -0.95},
        {0.3, -0.95},
        {0.3, -0.3},
        {0.95, -0.3},
        {0.95, 0.3},
        {0.3, 0.3},
        {0.3, 0.95},
        {-0.3, 0.95},
        {-0.3, 0.3},
        {-0.95, 0.3},
        {-0.95, -0.3},
        {-0.3, -0.3}}},
      {Circle(0.95), Circle(0.5)},
      Heart(),
      Moon(),
      {{{-1, -0.25},
        {0.1, -0.25},
        {0.1, -0.75},
        {1, 0},
        {0.1, 0.75},
        {0.1, 0.25},
        {-1, 0.25}}},
      {{{0, -0.95},
        {0.95, -0.1},
        {0.65, -0.1},
        {0.65, 0.85},
        {-0.65, 0.85},
        {-0.65, -0.1},
        {-0.95, -0.1}}},
      {{{0, -1},
        {0.7, -0.1},
        {0.35, -0.1},
        {0.8, 0.55},
        {0.18, 0.55},
        {0.18, 0.98},
        {-0.18, 0.98},
        {-0.18, 0.55},
        {-0.8, 0.55},
        {-0.35, -0.1},
        {-0.7, -0.1}}},
      Fish(),
      {{{-0.95, 0.3}, {0.95, 0.3}, {0.55, 0.85}, {-0.55, 0.85}},
       {{-0.05, -0.95}, {0.75, 0.15}, {-0.05, 0.15}},
       {{-0.15, -0.6}, {-0.15, 0.15}, {-0.7, 0.15}}},
  };
}

}  // namespace

const std::vector<Contour>& ShapeOf(int class_index) {
  static const auto* shapes =
      new std::array<std::vector<Contour>, kClassCount>(MakeShapes());
  return (*shapes)[class_index];
}

}  // namespace attune::client
