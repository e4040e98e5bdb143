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

// Whether points of a thread that are far apart take turns, or all come in their order.
enum class Order { kTurns, kAscending };

// Where a thread adds: rows below own_end, which earlier threads add to as well, in a buffer of its own.
struct Rows {
  float* own;
  int64_t own_end;
  float* vertices;
};

// Adds the points of a range to the rows of their corners. values: of the first point of the range, rows of `stride` floats
// of which `channels` <= P count; end: of the array that they are in. Corners is F + 1, or 0.
template <int P, int Corners>
void splat_points(const Lattice& lattice, Range range, const float* values, int stride, int channels, const float* end,
                  const float* scale, Rows rows, Order order) {
  const int F1 = Corners ? Corners : static_cast<int>(lattice.features) + 1;
  const int32_t* const all_ids = lattice.vertex_ids;
  const float* const all_weights = lattice.weights;
  const bool prefetch = worth_prefetching(lattice.vertices(), P);
  auto row_of = [=](int32_t v) { return (v < rows.own_end ? rows.own : rows.vertices) + static_cast<int64_t>(v) * P; };
  auto add_point = [=](int64_t n) {
    const int32_t* ids = all_ids + n * F1;
    const float* weights = all_weights + n * F1;
    Row<P> row = load_channels<P>(values + (n - range.begin) * stride, channels, end);
    if (scale) row = row * scale[n];
    for (int k = 0; k < F1; ++k) {
      float* vertex = row_of(ids[k]);
      (Row<P>::load(vertex) + row * weights[k]).store(vertex);
    }
  };
  // Neighbouring points share corners, and each sum waits for the one before: points far apart, taken in turns, do not.
  // Among many vertices that happens less often than points far apart miss the cache. (Not a matter of P: the order of
  // the sums, and so their rounding, is the same for any number of channels.)
  const int streams = order == Order::kTurns && lattice.vertices() < kManyVertices && !in_order() ? 4 : 1;
  const int64_t length = (range.end - range.begin) / streams, end_of_turns = range.begin + streams * length;
  for (int64_t i = range.begin; i < range.begin + length; ++i)
    for (int64_t n = i; n < end_of_turns; n += length) {
      if (prefetch && n + kPrefetch < lattice.points)
        for (int k = 0; k < F1; ++k) prefetch_row<P>(row_of(all_ids[(n + kPrefetch) * F1 + k]));
      // A part of each long row: no run of addresses, as processors foresee them.
      if (P < stride) prefetch_row<P>(values + (std::min(n + kPrefetchValues, range.end - 1) - range.begin) * stride);
      add_point(n);
    }
  for (int64_t n = end_of_turns; n < range.end; ++n) add_point(n);
}

// Where a splat adds up. Every thread takes some parts of the points, in order. Vertices are numbered in the order of the
// points, so those below seen[first part] are shared with earlier threads, which a thread adds up in a buffer of its own;
// the others no earlier thread meets, and later ones leave alone.
class Sums {
 public:
  // vertices: rows of `row` floats; the buffers are taken from `scratch`, for the caller to give back.
  Sums(const Lattice& lattice, int row, float* vertices, int threads, Scratch& scratch)
      : lattice_(&lattice), row_(row), vertices_(vertices), buffers_(threads, vertices) {
    for (int t = 1; t < threads; ++t) buffers_[t] = scratch.take(shared(t) * row);
  }

  Range points(int thread) const { return points_in(part(kParts, thread, threads()), lattice_->points); }
  Rows rows(int thread) const { return {buffers_[thread], shared(thread), vertices_}; }

  // What a thread adds to becomes 0.
  void clear(int thread) const {
    const Range parts = part(kParts, thread, threads());
    std::fill(vertices_ + shared(thread) * row_, vertices_ + lattice_->seen[parts.end] * row_, 0.0f);
    std::fill_n(buffers_[thread], shared(thread) * row_, 0.0f);
  }

  // The buffers are added to the vertices, after all threads.
  void add_up() const {
    const int64_t rows = shared(threads() - 1);
    const int adders = std::min(threads(), threads_for(rows * row_, kFloatsPerThread));
    parallel(adders, [&](int thread) {
      const Range range = part(rows, thread, adders);
      for (int t = 1; t < threads(); ++t) {
        const float* const buffer = buffers_[t];
        const int64_t end = std::min(range.end, shared(t));
        for (int64_t i = range.begin * row_; i < end * row_; ++i) vertices_[i] += buffer[i];
      }
    });
  }

 private:
  int threads() const { return static_cast<int>(buffers_.size()); }
  int64_t shared(int thread) const { return lattice_->seen[part(kParts, thread, threads()).begin]; }

  const Lattice* lattice_;
  int row_;
  float* vertices_;
  std::vector<float*> buffers_;
};

// The buffers of the threads may together hold no more than twice the values.
inline int splat_threads(const Lattice& lattice) {
  const int64_t N = lattice.points, M = std::max<int64_t>(lattice.vertices(), 1);
  return static_cast<int>(std::min<int64_t>(threads_for(N), 1 + 2 * N / M));
}

// vertices = transposed barycentric interpolation of the values.
template <int P>
void splat(const Lattice& lattice, const float* values, int stride, int channels, const float* end, const float* scale,
           Order order, Scratch& scratch, float* vertices) {
  const int threads = splat_threads(lattice);
  const Sums sums(lattice, P, vertices, threads, scratch);
  parallel(threads, [&](int thread) {
    sums.clear(thread);
    const Range range = sums.points(thread);
    with_corners(lattice.features, [&](auto corners) {
      splat_points<P, corners>(lattice, range, values + range.begin * stride, stride, channels, end, scale,
                               sums.rows(thread), order);
    });
  });
  sums.add_up();
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
