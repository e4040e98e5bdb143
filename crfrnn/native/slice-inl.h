// Slice: the barycentric interpolation of the vertices at the points.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_SLICE_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_SLICE_INL_H
#undef CRFRNN_SLICE_INL_H
#else
#define CRFRNN_SLICE_INL_H
#endif

#include <cmath>
#include <cstdint>

#include "corners-inl.h"
#include "instruction_set-inl.h"
#include "lattice.h"
#include "prefetch.h"
#include "row-inl.h"
#include "threads.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

// Adams et al. leave the blur (1/2, 1, 1/2) un-normalised; this factor brings the filter near the sum of the Gaussians
// (DenseCRF code; exact only when normalised by K 1, hence the normalisations).
inline float slice_factor(int64_t features) { return 1.0f / (1.0f + std::pow(2.0f, -static_cast<float>(features))); }

// Calls body(n, interpolated row) for every point n of the range.
template <int P, class Body>
void slice_points(const Lattice& lattice, const float* vertices, Range range, Body body) {
  with_corners(lattice.features, [=](auto corners) {
    const int F1 = corners ? corners : static_cast<int>(lattice.features) + 1;
    const bool prefetch = worth_prefetching(lattice.vertices(), P);
    const int32_t* const all_ids = lattice.vertex_ids;
    const float* const all_weights = lattice.weights;
    const int64_t N = lattice.points;
    for (int64_t n = range.begin; n < range.end; ++n) {
      const int32_t* ids = all_ids + n * F1;
      const float* weights = all_weights + n * F1;
      if (prefetch && n + kPrefetch < N)
        for (int k = 0; k < F1; ++k) prefetch_row<P>(vertices + static_cast<int64_t>(ids[kPrefetch * F1 + k]) * P);
      Row<P> row = Row<P>::zero();
      for (int k = 0; k < F1; ++k) row = row + Row<P>::load(vertices + static_cast<int64_t>(ids[k]) * P) * weights[k];
      body(n, row);
    }
  });
}

template <int P>
void slice(const Lattice& lattice, const float* vertices, int channels, int stride, const float* scale, float* out) {
  const int64_t N = lattice.points;
  const float factor = slice_factor(lattice.features);
  const int threads = threads_for(N);
  parallel(threads, [&](int thread) {
    slice_points<P>(lattice, vertices, part(N, thread, threads), [=](int64_t n, const Row<P>& sliced) {
      alignas(32) float row[P];
      (sliced * (scale ? factor * scale[n] : factor)).store(row);
      for (int c = 0; c < channels; ++c) out[n * stride + c] = row[c];
    });
  });
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
