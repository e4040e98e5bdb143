// Splat: the transposed barycentric interpolation of values onto the vertices.
//
// P is the number of channels of a lattice row in memory: C rounded up, so that a row is whole vectors and the loops over
// channels have a constant length. Values keep their own row length, `stride`.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_SPLAT_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_SPLAT_INL_H
#undef CRFRNN_SPLAT_INL_H
#else
#define CRFRNN_SPLAT_INL_H
#endif

#include <algorithm>
#include <cstdint>
#include <vector>

#include "corners-inl.h"
#include "instruction_set-inl.h"
#include "lattice.h"
#include "memory.h"
#include "prefetch.h"
#include "row-inl.h"
#include "threads.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

constexpr int64_t kManyVertices = int64_t{1} << 14;  // see splat_points
constexpr int kPrefetchValues = 24;                  // points ahead

// Adds the points of a range to the rows of their corners, those below own_end in `own`. Corners is F + 1, or 0.
template <int P, int Corners>
void splat_points(const Lattice& lattice, Range range, const float* values, int stride, int channels, const float* end,
                  const float* scale, float* own, int64_t own_end, float* vertices) {
  const int F1 = Corners ? Corners : static_cast<int>(lattice.features) + 1;
  const int32_t* const all_ids = lattice.vertex_ids;
  const float* const all_weights = lattice.weights;
  const bool prefetch = worth_prefetching(lattice.vertices(), P);
  auto row_of = [=](int32_t v) { return (v < own_end ? own : vertices) + static_cast<int64_t>(v) * P; };
  auto add_point = [=](int64_t n) {
    const int32_t* ids = all_ids + n * F1;
    const float* weights = all_weights + n * F1;
    Row<P> row = load_channels<P>(values + n * stride, channels, end);
    if (scale) row = row * scale[n];
    for (int k = 0; k < F1; ++k) {
      float* vertex = row_of(ids[k]);
      (Row<P>::load(vertex) + row * weights[k]).store(vertex);
    }
  };
  // Neighbouring points share corners, and each sum waits for the one before: points far apart, taken in turns, do not.
  // Among many vertices that happens less often than points far apart miss the cache. (Not a matter of P: the order of
  // the sums, and so their rounding, is the same for any number of channels.)
  const int streams = lattice.vertices() < kManyVertices && !in_order() ? 4 : 1;
  const int64_t length = (range.end - range.begin) / streams, end_of_turns = range.begin + streams * length;
  for (int64_t i = range.begin; i < range.begin + length; ++i)
    for (int64_t n = i; n < end_of_turns; n += length) {
      if (prefetch && n + kPrefetch < range.end)
        for (int k = 0; k < F1; ++k) prefetch_row<P>(row_of(all_ids[(n + kPrefetch) * F1 + k]));
      // A part of each long row: no run of addresses, as processors foresee them.
      if (P < stride) prefetch_row<P>(values + std::min(n + kPrefetchValues, range.end - 1) * stride);
      add_point(n);
    }
  for (int64_t n = end_of_turns; n < range.end; ++n) add_point(n);
}

// vertices = transposed barycentric interpolation of the values. Every thread takes some parts of the points, in order.
// Vertices are numbered in the order of the points, so those below seen[first part] are shared with earlier threads, which
// a thread adds up in a buffer of its own; the others no earlier thread meets, and later ones leave alone.
template <int P>
void splat(const Lattice& lattice, const float* values, int stride, int channels, const float* end, const float* scale,
           Scratch& scratch, float* vertices) {
  const int64_t N = lattice.points, M = lattice.vertices();
  // The buffers of the threads may together hold no more than twice the values.
  const int threads = static_cast<int>(std::min<int64_t>(threads_for(N), 1 + 2 * N / std::max<int64_t>(M, 1)));
  auto shared = [&](int thread) { return lattice.seen[part(kParts, thread, threads).begin]; };
  std::vector<float*> buffers(threads, vertices);
  for (int t = 1; t < threads; ++t) buffers[t] = scratch.take(shared(t) * P);

  parallel(threads, [&](int thread) {
    const Range parts = part(kParts, thread, threads), range = points_in(parts, N);
    float* const own = buffers[thread];
    const int64_t own_end = lattice.seen[parts.begin];
    std::fill(vertices + own_end * P, vertices + lattice.seen[parts.end] * P, 0.0f);
    std::fill(own, own + own_end * P, 0.0f);
    with_corners(lattice.features, [&](auto corners) {
      splat_points<P, corners>(lattice, range, values, stride, channels, end, scale, own, own_end, vertices);
    });
  });

  const int64_t rows = shared(threads - 1);
  const int adders = std::min(threads, threads_for(rows * P, kFloatsPerThread));
  parallel(adders, [&](int thread) {
    const Range range = part(rows, thread, adders);
    for (int t = 1; t < threads; ++t) {
      const int64_t end = std::min(range.end, shared(t));
      for (int64_t i = range.begin * P; i < end * P; ++i) vertices[i] += buffers[t][i];
    }
  });
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
