// Building the lattice: positions -> simplices -> vertices -> chains of neighbours.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_BUILD_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_BUILD_INL_H
#undef CRFRNN_BUILD_INL_H
#else
#define CRFRNN_BUILD_INL_H
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "errors.h"
#include "instruction_set-inl.h"
#include "keys-inl.h"
#include "lattice.h"
#include "memory.h"
#include "neighbours.h"
#include "simplices-inl.h"
#include "threads.h"
#include "vertex_table-inl.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

// The range of every elevated coordinate, F + 1 of them; throws when a position is not finite.
inline void check_and_bound(const float* positions, int64_t points, int features, const float* scale, float* low,
                            float* high) {
  const int F = features, threads = threads_for(points);
  struct Bounds {
    float low[kMaxFeatures + 1][kBlock], high[kMaxFeatures + 1][kBlock];
    int64_t bad = -1;
    Block block;
  };
  const std::unique_ptr<Bounds[]> bounds(new Bounds[threads]);  // too large for the stack of a thread
  parallel(threads, [&](int thread) {
    const Range range = part(points, thread, threads);
    Bounds& own = bounds[thread];
    std::fill_n(own.low[0], (kMaxFeatures + 1) * kBlock, std::numeric_limits<float>::max());
    std::fill_n(own.high[0], (kMaxFeatures + 1) * kBlock, std::numeric_limits<float>::lowest());
    Block& block = own.block;
    for (int64_t begin = range.begin; begin < range.end && own.bad < 0; begin += kBlock) {
      const int count = static_cast<int>(std::min<int64_t>(kBlock, range.end - begin));
      elevate(positions + begin * F, count, F, scale, block);
      int32_t bad = 0;
      for (int i = 0; i <= F; ++i)
        for (int n = 0; n < count; ++n) bad |= !(std::fabs(block.elevated[i][n]) <= std::numeric_limits<float>::max());
      if (bad) own.bad = begin;
      for (int i = 0; i <= F; ++i)
        for (int n = 0; n < count; ++n) {
          const float e = block.elevated[i][n];
          own.low[i][n] = e < own.low[i][n] ? e : own.low[i][n];
          own.high[i][n] = e > own.high[i][n] ? e : own.high[i][n];
        }
    }
  });
  for (int t = 0; t < threads; ++t)
    if (bounds[t].bad >= 0) throw InvalidArgument::not_finite(positions, bounds[t].bad, points, F);
  for (int i = 0; i <= F; ++i) {
    low[i] = std::numeric_limits<float>::max(), high[i] = std::numeric_limits<float>::lowest();
    for (int t = 0; t < threads; ++t) {
      low[i] = std::min(low[i], *std::min_element(bounds[t].low[i], bounds[t].low[i] + kBlock));
      high[i] = std::max(high[i], *std::max_element(bounds[t].high[i], bounds[t].high[i] + kBlock));
    }
  }
}

// What a thread needs beside its table; too large for its stack. Keys and hashes of some points are made first and their
// slots prefetched, so that the misses overlap.
constexpr int kAhead = 16;
template <int W>
struct PointMemory {
  Block block;
  Key<W> keys[kAhead][kMaxFeatures + 1];
  uint64_t hashes[kAhead][kMaxFeatures + 1];
};

// Numbers the corners of the simplices of the points in `range`, in a table of its own.
template <int W>
void number_vertices(const float* positions, Range range, int64_t points_per_image, int features, const float* scale,
                     const KeyLayout& layout, const Steps<W>& steps, PointMemory<W>& memory, VertexTable<W>& table,
                     int32_t* vertex_ids, float* weights) {
  const int F = features;
  auto& [block, keys, hashes] = memory;
  for (int64_t begin = range.begin; begin < range.end; begin += kBlock) {
    const int count = static_cast<int>(std::min<int64_t>(kBlock, range.end - begin));
    elevate(positions + begin * F, count, F, scale, block);
    find_simplices(count, F, block);
    for (int first = 0; first < count; first += kAhead) {
      const int ahead = std::min(kAhead, count - first);
      for (int a = 0; a < ahead; ++a) {
        const int n = first + a;
        Key<W> key{};
        add_to(key, layout.image, (begin + n) / points_per_image);
        for (int i = 0; i < F; ++i)
          add_to(key, layout.axis[i], static_cast<int64_t>(block.nearest[i][n]) + layout.offset[i]);
        for (int k = 0; k <= F; ++k) {
          keys[a][k] = key;
          hashes[a][k] = key.hash();
          table.prefetch(hashes[a][k]);
          key = key + steps.inner[block.axis[n][F - k]];
        }
      }
      for (int a = 0; a < ahead; ++a) {
        const int n = first + a;
        int32_t* ids = vertex_ids + (begin + n) * (F + 1);
        float* w = weights + (begin + n) * (F + 1);
        const float* offset = block.offset[n];
        w[0] = 1.0f + offset[F] - offset[0];
        for (int k = 1; k <= F; ++k) w[k] = offset[F - k] - offset[F + 1 - k];
        for (int k = 0; k <= F; ++k) ids[k] = table.insert(keys[a][k], hashes[a][k]);
      }
    }
  }
}

// plus[j * M + v]: the neighbour of v one step along axis j, or -1.
template <int W>
void find_neighbours(const VertexTable<W>& table, int features, const KeyLayout& layout, const Steps<W>& steps,
                     int32_t* plus) {
  const int64_t M = static_cast<int64_t>(table.keys.size());
  const int F = features, threads = threads_for(M);
  parallel(threads, [&](int thread) {
    const Range range = part(M, thread, threads);
    constexpr int kAhead = 64;
    Key<W> keys[kAhead];
    uint64_t hashes[kAhead];
    for (int64_t begin = range.begin; begin < range.end; begin += kAhead) {
      const int count = static_cast<int>(std::min<int64_t>(kAhead, range.end - begin));
      for (int j = 0; j <= F; ++j) {
        for (int a = 0; a < count; ++a) {
          const Key<W>& key = table.keys[begin + a];
          const uint64_t k = key.words[layout.remainder.word] >> layout.remainder.shift & layout.remainder_mask;
          keys[a] = key + (k < static_cast<uint64_t>(F) ? steps.inner[j] : steps.wrap[j]);
          hashes[a] = keys[a].hash();
          table.prefetch(hashes[a]);
        }
        for (int a = 0; a < count; ++a) plus[j * M + begin + a] = table.find(keys[a], hashes[a]);
      }
    }
  });
}

// How many vertices have a neighbour along one axis; has_minus tells which have one on the - side.
inline int64_t count_chained(const int32_t* plus, int64_t vertices, std::vector<uint8_t>& has_minus) {
  has_minus.assign(vertices, 0);
  for (int64_t v = 0; v < vertices; ++v)
    if (plus[v] >= 0) has_minus[plus[v]] = 1;
  int64_t count = 0;
  for (int64_t v = 0; v < vertices; ++v) count += (plus[v] >= 0) | has_minus[v];
  return count;
}

// Follows the + neighbours of one axis from every vertex that has none on the - side.
inline void write_chains_of_axis(const int32_t* plus, int64_t vertices, const std::vector<uint8_t>& has_minus, int32_t* chain) {
  for (int64_t v = 0; v < vertices; ++v) {
    if (plus[v] < 0 || has_minus[v]) continue;
    *chain++ = ~static_cast<int32_t>(v);
    for (int32_t u = plus[v]; u >= 0; u = plus[u]) *chain++ = u;
  }
}

template <int W>
std::unique_ptr<Neighbours> build_with_keys(const float* positions, int64_t batch, int64_t points_per_image,
                                            int features, const float* scale, const KeyLayout& layout,
                                            int32_t* vertex_ids, float* weights, int64_t* chain_splits, int64_t* seen) {
  const int64_t points = batch * points_per_image;
  const int F = features, threads = threads_for(points);
  const Steps<W> steps(layout, F);
  seen[0] = 0;

  std::vector<VertexTable<W>> tables(threads);
  parallel_or_throw(threads, [&](int thread) {
    const Range parts = part(kParts, thread, threads);
    const std::unique_ptr<PointMemory<W>> memory(new PointMemory<W>);
    for (int64_t p = parts.begin; p < parts.end; ++p) {
      number_vertices(positions, points_in({p, p + 1}, points), points_per_image, F, scale, layout, steps, *memory,
                      tables[thread], vertex_ids, weights);
      seen[p + 1] = static_cast<int64_t>(tables[thread].keys.size());
    }
  });

  // Thread 0's numbers stay; the vertices that later threads saw are added in order, which gives the numbers that one
  // thread alone would have given.
  VertexTable<W>& table = tables[0];
  std::vector<std::vector<int32_t>> renumbered(threads);
  for (int thread = 1; thread < threads; ++thread) {
    LargeVector<Key<W>> keys = std::move(tables[thread].keys);
    tables[thread] = VertexTable<W>();
    const Range parts = part(kParts, thread, threads);
    constexpr int64_t kAhead = 16;
    int64_t v = 0;
    for (int64_t p = parts.begin; p < parts.end; ++p) {
      for (; v < seen[p + 1]; ++v) {
        if (v + kAhead < static_cast<int64_t>(keys.size())) table.prefetch(keys[v + kAhead].hash());
        renumbered[thread].push_back(table.insert(keys[v], keys[v].hash()));
      }
      seen[p + 1] = static_cast<int64_t>(table.keys.size());
    }
  }
  parallel(threads, [&](int thread) {
    if (thread == 0) return;
    const Range range = points_in(part(kParts, thread, threads), points);
    for (int64_t e = range.begin * (F + 1); e < range.end * (F + 1); ++e)
      vertex_ids[e] = renumbered[thread][vertex_ids[e]];
  });

  auto neighbours = std::make_unique<Neighbours>();
  const int64_t M = static_cast<int64_t>(table.keys.size());
  neighbours->vertices = M;
  neighbours->plus.resize(M * (F + 1));
  neighbours->has_minus.resize(F + 1);
  find_neighbours(table, F, layout, steps, neighbours->plus.data());
  table = VertexTable<W>();

  const int axis_threads = std::min(F + 1, threads_for(M));
  parallel_or_throw(axis_threads, [&](int thread) {
    for (int j = thread; j <= F; j += axis_threads)
      chain_splits[j + 1] = count_chained(neighbours->plus.data() + j * M, M, neighbours->has_minus[j]);
  });
  chain_splits[0] = 0;
  for (int j = 0; j <= F; ++j) chain_splits[j + 1] += chain_splits[j];
  return neighbours;
}

// All of a lattice but its chains, which write_chains writes once there is memory for chain_splits[F + 1] of them.
inline std::unique_ptr<Neighbours> build(const float* positions, int64_t batch, int64_t points_per_image,
                                         int64_t features, int32_t* vertex_ids, float* weights, int64_t* chain_splits,
                                         int64_t* seen) {
  const int F = static_cast<int>(features);
  float scale[kMaxFeatures], low[kMaxFeatures + 1] = {}, high[kMaxFeatures + 1] = {};
  elevation_scale(F, scale);
  const int64_t points = batch * points_per_image;
  if (points > 0) check_and_bound(positions, points, F, scale, low, high);
  const KeyLayout layout = key_layout(std::max<int64_t>(batch, 1), F, low, high);
  auto with = [&](auto words) {
    return build_with_keys<decltype(words)::value>(positions, batch, points_per_image, F, scale, layout, vertex_ids,
                                                   weights, chain_splits, seen);
  };
  if (layout.words <= 1) return with(std::integral_constant<int, 1>());
  if (layout.words <= 2) return with(std::integral_constant<int, 2>());
  if (layout.words <= 4) return with(std::integral_constant<int, 4>());
  return with(std::integral_constant<int, kMaxFeatures / 2 + 2>());
}

inline void write_chains(const Neighbours& neighbours, const int64_t* chain_splits, int32_t* chains) {
  const int64_t M = neighbours.vertices;
  const int axes = static_cast<int>(neighbours.has_minus.size()), threads = std::min(axes, threads_for(M));
  parallel(threads, [&](int thread) {
    for (int j = thread; j < axes; j += threads)
      write_chains_of_axis(neighbours.plus.data() + j * M, M, neighbours.has_minus[j], chains + chain_splits[j]);
  });
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
