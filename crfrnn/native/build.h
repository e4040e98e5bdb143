// Building the lattice: positions -> simplices -> vertices -> chains of neighbours.
// Included once per instruction set, inside a namespace of that name (dispatch.h); hence no #pragma once.

// ---- Keys ------------------------------------------------------------------------------------------------------
//
// A vertex of remainder k (0..F) has coordinates c_i = (F+1) a_i + k, i = 0..F-1; the coordinate F is implied, since all
// sum to zero. Its key is (image, a_0..a_{F-1}, k), packed into as few 64-bit words as the range of the positions needs
// (one, nearly always). Packed, the + neighbour along axis j (all c_i + 1, but c_j - F) is one addition:
//   k < F:   k + 1, a_j - 1            k = F:   k = 0, a_i + 1 for all i except j
// Each field has room for one step beyond the occupied range on both sides, so a step never reaches the next field.
template <int W>
struct Key {
  uint64_t words[W];
  bool operator==(const Key& other) const {
    uint64_t difference = 0;
    for (int w = 0; w < W; ++w) difference |= words[w] ^ other.words[w];
    return difference == 0;
  }
  Key operator+(const Key& other) const {
    Key sum;
    for (int w = 0; w < W; ++w) sum.words[w] = words[w] + other.words[w];
    return sum;
  }
  uint64_t hash() const {
    uint64_t h = 0;
    for (int w = 0; w < W; ++w) h = (h ^ words[w] ^ (words[w] >> 32)) * 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio
    return h;
  }
};

struct Field {
  int word, shift;
};

// Where each number of a key lives.
struct KeyLayout {
  int words = 1;
  Field remainder, image;
  Field axis[kMaxFeatures];
  int64_t offset[kMaxFeatures];  // added to a_i so that the stored field is never negative
  uint64_t remainder_mask;
};

inline int bits_for(int64_t largest) {
  int bits = 0;
  while (largest >> bits) ++bits;
  return bits;
}

// From the range of every elevated coordinate; throws InvalidArgument when a coordinate is out of range.
inline KeyLayout key_layout(int64_t batch, int features, const float* low, const float* high) {
  KeyLayout layout;
  int word = 0, used = 0;
  auto field = [&](int bits) {
    if (used + bits > 64) ++word, used = 0;
    Field result{word, used};
    used += bits;
    return result;
  };
  layout.remainder = field(bits_for(features));
  layout.remainder_mask = (uint64_t{1} << bits_for(features)) - 1;
  layout.image = field(bits_for(batch - 1));
  for (int i = 0; i < features; ++i) {
    // Rounding moves a coordinate by at most (F+1)/2, bringing the point back onto the plane and the corners of its
    // simplex by at most F+1 each, a neighbour by one more step: 3 cells on either side are enough.
    const double cell = features + 1;
    const double first = std::floor(low[i] / cell) - 3, last = std::ceil(high[i] / cell) + 3;
    if (!(first > -kKeyRange && last < kKeyRange)) throw InvalidArgument::beyond_range(i, low[i], high[i]);
    layout.offset[i] = -static_cast<int64_t>(first);
    layout.axis[i] = field(bits_for(static_cast<int64_t>(last) + layout.offset[i]));
  }
  layout.words = word + 1;
  return layout;
}

template <int W>
void add_to(Key<W>& key, Field field, int64_t value) {
  key.words[field.word] += static_cast<uint64_t>(value) << field.shift;
}

// steps[k == F][j]: what leads from a vertex of remainder k to its + neighbour along axis j.
template <int W>
struct Steps {
  Key<W> inner[kMaxFeatures + 1], wrap[kMaxFeatures + 1];
  Steps(const KeyLayout& layout, int features) {
    for (int j = 0; j <= features; ++j) {
      inner[j] = wrap[j] = Key<W>{};
      add_to(inner[j], layout.remainder, 1);
      if (j < features) add_to(inner[j], layout.axis[j], -1);
      add_to(wrap[j], layout.remainder, -features);
      for (int i = 0; i < features; ++i)
        if (i != j) add_to(wrap[j], layout.axis[i], 1);
    }
  }
};

// ---- Hash table ------------------------------------------------------------------------------------------------

// Open addressing with linear probing; numbers keys in order of first appearance.
template <int W>
class VertexTable {
 public:
  LargeVector<Key<W>> keys;  // by vertex id

  VertexTable() { resize(12); }
  void prefetch(uint64_t hash) const { CRFRNN_PREFETCH(&slots_[hash >> shift_]); }

  int32_t insert(const Key<W>& key, uint64_t hash) {
    uint64_t i = hash >> shift_;
    while (slots_[i].id >= 0) {
      if (slots_[i].key == key) return slots_[i].id;
      i = (i + 1) & mask_;
    }
    const int32_t id = static_cast<int32_t>(keys.size());
    slots_[i] = {key, id};
    keys.push_back(key);
    if (2 * keys.size() > slots_.size()) resize(bits_ + (bits_ < 20 ? 2 : 1));
    return id;
  }

  int32_t find(const Key<W>& key, uint64_t hash) const {
    uint64_t i = hash >> shift_;
    while (slots_[i].id >= 0) {
      if (slots_[i].key == key) return slots_[i].id;
      i = (i + 1) & mask_;
    }
    return -1;
  }

 private:
  struct Slot {
    Key<W> key;
    int32_t id;
  };
  LargeVector<Slot> slots_;
  int bits_ = 0, shift_ = 0;
  uint64_t mask_ = 0;

  void resize(int bits) {
    bits_ = bits;
    shift_ = 64 - bits;
    mask_ = (uint64_t{1} << bits) - 1;
    slots_ = LargeVector<Slot>();  // the old memory goes first: the two never stand side by side
    slots_.assign(size_t{1} << bits, Slot{Key<W>{}, -1});
    for (size_t id = 0; id < keys.size(); ++id) {
      uint64_t i = keys[id].hash() >> shift_;
      while (slots_[i].id >= 0) i = (i + 1) & mask_;
      slots_[i] = {keys[id], static_cast<int32_t>(id)};
    }
  }
};

// ---- Points to simplices ---------------------------------------------------------------------------------------

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

// ---- The steps of build() --------------------------------------------------------------------------------------

// The range of every elevated coordinate; throws when a position is not finite.
inline void check_and_bound(const float* positions, int64_t points, int features, const float* scale, float* low,
                            float* high) {
  const int F = features, threads = threads_for(points);
  struct Bounds {
    float low[kMaxFeatures][kBlock], high[kMaxFeatures][kBlock];
    int64_t bad = -1;
  };
  std::vector<Bounds> bounds(threads);
  parallel(threads, [&](int thread) {
    const Range range = part(points, thread, threads);
    Bounds& own = bounds[thread];
    std::fill_n(own.low[0], kMaxFeatures * kBlock, std::numeric_limits<float>::max());
    std::fill_n(own.high[0], kMaxFeatures * kBlock, std::numeric_limits<float>::lowest());
    Block block;
    for (int64_t begin = range.begin; begin < range.end && own.bad < 0; begin += kBlock) {
      const int count = static_cast<int>(std::min<int64_t>(kBlock, range.end - begin));
      elevate(positions + begin * F, count, F, scale, block);
      int32_t bad = 0;
      for (int i = 0; i <= F; ++i)
        for (int n = 0; n < count; ++n) bad |= !(std::fabs(block.elevated[i][n]) <= std::numeric_limits<float>::max());
      if (bad) own.bad = begin;
      for (int i = 0; i < F; ++i)
        for (int n = 0; n < count; ++n) {
          const float e = block.elevated[i][n];
          own.low[i][n] = e < own.low[i][n] ? e : own.low[i][n];
          own.high[i][n] = e > own.high[i][n] ? e : own.high[i][n];
        }
    }
  });
  for (const Bounds& own : bounds)
    if (own.bad >= 0) throw InvalidArgument::not_finite(positions, own.bad, points, F);
  for (int i = 0; i < F; ++i) {
    low[i] = std::numeric_limits<float>::max(), high[i] = std::numeric_limits<float>::lowest();
    for (const Bounds& own : bounds) {
      low[i] = std::min(low[i], *std::min_element(own.low[i], own.low[i] + kBlock));
      high[i] = std::max(high[i], *std::max_element(own.high[i], own.high[i] + kBlock));
    }
  }
}

// Numbers the corners of the simplices of the points in `range`, in a table of its own.
template <int W>
void number_vertices(const float* positions, Range range, int64_t points_per_image, int features, const float* scale,
                     const KeyLayout& layout, const Steps<W>& steps, VertexTable<W>& table, int32_t* vertex_ids,
                     float* weights) {
  const int F = features;
  Block block;
  // Keys and hashes of some points are made first and their slots prefetched, so that the misses overlap.
  constexpr int kAhead = 16;
  Key<W> keys[kAhead][kMaxFeatures + 1];
  uint64_t hashes[kAhead][kMaxFeatures + 1];

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

// Follows the + neighbours of one axis from every vertex that has none on the - side.
inline int64_t count_chained(const int32_t* plus, int64_t vertices, std::vector<uint8_t>& has_minus) {
  has_minus.assign(vertices, 0);
  for (int64_t v = 0; v < vertices; ++v)
    if (plus[v] >= 0) has_minus[plus[v]] = 1;
  int64_t count = 0;
  for (int64_t v = 0; v < vertices; ++v) count += (plus[v] >= 0) | has_minus[v];
  return count;
}

inline void write_chains(const int32_t* plus, int64_t vertices, const std::vector<uint8_t>& has_minus, int32_t* chain) {
  for (int64_t v = 0; v < vertices; ++v) {
    if (plus[v] < 0 || has_minus[v]) continue;
    *chain++ = ~static_cast<int32_t>(v);
    for (int32_t u = plus[v]; u >= 0; u = plus[u]) *chain++ = u;
  }
}

template <int W>
void build_with_keys(const float* positions, int64_t batch, int64_t points_per_image, int features, const float* scale,
                     const KeyLayout& layout, const Outputs& outputs) {
  const int64_t points = batch * points_per_image;
  const int F = features, threads = threads_for(points);
  int32_t* vertex_ids = outputs.get<int32_t>(kVertexIds, points * (F + 1));
  float* weights = outputs.get<float>(kWeights, points * (F + 1));
  const Steps<W> steps(layout, F);

  int64_t* seen = outputs.get<int64_t>(kSeen, kParts + 1);
  seen[0] = 0;

  std::vector<VertexTable<W>> tables(threads);
  parallel_or_throw(threads, [&](int thread) {
    const Range parts = part(kParts, thread, threads);
    for (int64_t p = parts.begin; p < parts.end; ++p) {
      number_vertices(positions, points_in({p, p + 1}, points), points_per_image, F, scale, layout, steps,
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

  const int64_t M = static_cast<int64_t>(table.keys.size());
  LargeVector<int32_t> plus(M * (F + 1));
  find_neighbours(table, F, layout, steps, plus.data());
  table = VertexTable<W>();

  int64_t* chain_splits = outputs.get<int64_t>(kChainSplits, F + 2);
  std::vector<std::vector<uint8_t>> has_minus(F + 1);
  const int axis_threads = std::min(F + 1, threads_for(M));
  parallel_or_throw(axis_threads, [&](int thread) {
    for (int j = thread; j <= F; j += axis_threads)
      chain_splits[j + 1] = count_chained(plus.data() + j * M, M, has_minus[j]);
  });
  chain_splits[0] = 0;
  for (int j = 0; j <= F; ++j) chain_splits[j + 1] += chain_splits[j];
  int32_t* chains = outputs.get<int32_t>(kChains, chain_splits[F + 1]);
  parallel(axis_threads, [&](int thread) {
    for (int j = thread; j <= F; j += axis_threads)
      write_chains(plus.data() + j * M, M, has_minus[j], chains + chain_splits[j]);
  });
}

inline void build(const float* positions, int64_t batch, int64_t points_per_image, int64_t features,
                  const Outputs& outputs) {
  const int F = static_cast<int>(features);
  float scale[kMaxFeatures], low[kMaxFeatures] = {}, high[kMaxFeatures] = {};
  elevation_scale(F, scale);
  const int64_t points = batch * points_per_image;
  if (points > 0) check_and_bound(positions, points, F, scale, low, high);
  const KeyLayout layout = key_layout(std::max<int64_t>(batch, 1), F, low, high);
  auto with = [&](auto words) {
    build_with_keys<decltype(words)::value>(positions, batch, points_per_image, F, scale, layout, outputs);
  };
  if (layout.words <= 1) return with(std::integral_constant<int, 1>());
  if (layout.words <= 2) return with(std::integral_constant<int, 2>());
  if (layout.words <= 4) return with(std::integral_constant<int, 4>());
  with(std::integral_constant<int, kMaxFeatures / 2 + 2>());
}
