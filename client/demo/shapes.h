#ifndef ATTUNE_CLIENT_DEMO_SHAPES_H_
#define ATTUNE_CLIENT_DEMO_SHAPES_H_

#include <vector>

#include "client/demo/canvas.h"

namespace attune::client {

// The outline of a class's figure about (0, 0), within the unit circle, y
// down. REQUIRES: 0 <= class_index < kClassCount.
const std::vector<Contour>& ShapeOf(int class_index);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_DEMO_SHAPES_H_
