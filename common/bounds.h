// Bounds on what a model version may lose against the one it was made from.

#ifndef ATTUNE_COMMON_BOUNDS_H_
#define ATTUNE_COMMON_BOUNDS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace attune {

// Figures over all examples by their name.
using FigureValues = std::map<std::string, double>;

// The figures that a bound can be on: shares that are better when they are
// higher.
const std::vector<std::string>& BoundableFigures();
bool IsBoundable(absl::string_view figure);

// A sentence for each bound that is broken, in order of the figures' names,
// such as "clean_top1 fell from 0.9000 to 0.8500, by more than 0.0100".
// `max_drop` is by figure; one that either side lacks, or that is not a
// number, breaks its bound.
std::vector<std::string> BrokenBounds(
    const std::map<std::string, double>& max_drop, const FigureValues& base,
    const FigureValues& figures);

}  // namespace attune

#endif  // ATTUNE_COMMON_BOUNDS_H_
