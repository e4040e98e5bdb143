// Errors that name the argument.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "lattice.h"

namespace crfrnn {

class InvalidArgument : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;

  static InvalidArgument beyond_range(int axis, double low, double high) {
    return InvalidArgument(
        "positions are beyond the range of lattice keys: elevated coordinate " + std::to_string(axis) + " spans [" +
        std::to_string(low) + ", " + std::to_string(high) + "], expected a magnitude below " +
        std::to_string(kKeyRange) + " * (F + 1). Centre the positions or use larger bandwidths (theta).");
  }

  // Some elevated coordinate of a block of points is not finite: because a position is not, or because it is huge.
  static InvalidArgument not_finite(const float* positions, int64_t begin, int64_t points, int features) {
    const int64_t end = std::min<int64_t>(begin + 1024, points);
    for (int64_t n = begin; n < end; ++n)
      for (int f = 0; f < features; ++f)
        if (!std::isfinite(positions[n * features + f]))
          return InvalidArgument("positions must be finite, received " + std::to_string(positions[n * features + f]) +
                                 " at point " + std::to_string(n) + ", feature " + std::to_string(f) +
                                 ". Check the image and the bandwidths (theta) for NaN, infinity and zero.");
    return beyond_range(0, -HUGE_VAL, HUGE_VAL);
  }
};

}  // namespace crfrnn
