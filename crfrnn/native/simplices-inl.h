// Points to simplices: the simplex of the lattice around each point, and where in it the point lies.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_SIMPLICES_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_SIMPLICES_INL_H
#undef CRFRNN_SIMPLICES_INL_H
#else
#define CRFRNN_SIMPLICES_INL_H
#endif

#include <cmath>
#include <cstdint>
#include <cstring>

#include "instruction_set-inl.h"
#include "lattice.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

// Up to kBlock points side by side, one row per coordinate, so that the loops over points become vector code.
constexpr int kBlock = 128;
struct Block {
  float elevated[kMaxFeatures + 1][kBlock];
  float nearest[kMaxFeatures + 1][kBlock];  // the nearest vertex of remainder 0, divided by F + 1
  int32_t rank[kMaxFeatures + 1][kBlock];
  float offset[kBlock][kMaxFeatures + 1];  // by rank: distance to that vertex along the axis of that rank, / (F + 1)
  int8_t axis[kBlock][kMaxFeatures + 1];   // by rank: that axis
};

// scale_i of the elevation. The triangular basis of the hyperplane contributes 1 / sqrt((i+1)(i+2)) (Adams et al., sec.
// 3.1); splat, blur and slice together have the variance 2/3 (F+1)^2 in lattice units, so that a unit Gaussian in the
// positions needs the factor (F+1) sqrt(2/3).
inline void elevation_scale(int features, float* scale) {
  const float inv_std_dev = std::sqrt(2.0 / 3.0) * (features + 1);
  for (int i = 0; i < features; ++i)
    scale[i] = 1.0 / std::sqrt(static_cast<double>((i + 2) * (i + 1))) * inv_std_dev;
}

inline void elevate(const float* positions, int count, int features, const float* scale, Block& block) {
  const int F = features;
  float sum[kBlock] = {};
  for (int j = F; j > 0; --j)
    for (int n = 0; n < count; ++n) {
      const float scaled = positions[n * F + j - 1] * scale[j - 1];
      block.elevated[j][n] = sum[n] - j * scaled;
      sum[n] += scaled;
    }
  std::memcpy(block.elevated[0], sum, sizeof(sum));
}

inline void find_simplices(int count, int features, Block& block) {
  const int F = features;
  const float cell = F + 1, inverse_cell = 1.0f / cell;
  // Adding and subtracting 1.5 * 2^23 rounds a float of magnitude below 2^22 to the nearest integer on any machine.
  constexpr float kRound = 12582912.0f;

  int32_t sum[kBlock] = {};
  for (int i = 0; i <= F; ++i)
    for (int n = 0; n < count; ++n) {
      const float nearest = (block.elevated[i][n] * inverse_cell + kRound) - kRound;
      block.nearest[i][n] = nearest;
      sum[n] += static_cast<int32_t>(nearest);
      block.rank[i][n] = 0;
    }
  for (int i = 0; i < F; ++i)
    for (int j = i + 1; j <= F; ++j)
      for (int n = 0; n < count; ++n) {
        const float di = block.elevated[i][n] - block.nearest[i][n] * cell;
        const float dj = block.elevated[j][n] - block.nearest[j][n] * cell;
        const int32_t less = di < dj;
        block.rank[i][n] += less;
        block.rank[j][n] += 1 - less;
      }
  // Rounding each coordinate by itself may leave the plane of zero sum: move the coordinates that were rounded most.
  for (int i = 0; i <= F; ++i)
    for (int n = 0; n < count; ++n) {
      const int32_t rank = block.rank[i][n] + sum[n];
      const int32_t move = (rank < 0) - (rank > F);
      block.rank[i][n] = rank + move * (F + 1);
      block.nearest[i][n] += move;
    }
  for (int i = 0; i <= F; ++i)
    for (int n = 0; n < count; ++n) {
      const int32_t rank = block.rank[i][n];
      block.axis[n][rank] = static_cast<int8_t>(i);
      block.offset[n][rank] = (block.elevated[i][n] - block.nearest[i][n] * cell) * inverse_cell;
    }
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
