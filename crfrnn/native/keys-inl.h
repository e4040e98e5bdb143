// The keys of lattice vertices.
//
// A vertex of remainder k (0..F) has coordinates c_i = (F+1) a_i + k, i = 0..F-1; the coordinate F is implied, since all
// sum to zero. Its key is (image, a_0..a_{F-1}, k), packed into as few 64-bit words as the range of the positions needs
// (one, nearly always). Packed, the + neighbour along axis j (all c_i + 1, but c_j - F) is one addition:
//   k < F:   k + 1, a_j - 1            k = F:   k = 0, a_i + 1 for all i except j
// Each field has room for one step beyond the occupied range on both sides, so a step never reaches the next field.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_KEYS_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_KEYS_INL_H
#undef CRFRNN_KEYS_INL_H
#else
#define CRFRNN_KEYS_INL_H
#endif

#include <cmath>
#include <cstdint>

#include "errors.h"
#include "instruction_set-inl.h"
#include "lattice.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

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

// From the range of every elevated coordinate, F + 1 of them; throws InvalidArgument when one is out of range.
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
  for (int i = 0; i <= features; ++i) {
    // Rounding moves a coordinate by at most (F+1)/2, bringing the point back onto the plane and the corners of its
    // simplex by at most F+1 each, a neighbour by one more step: 3 cells on either side are enough.
    const double cell = features + 1;
    const double first = std::floor(low[i] / cell) - 3, last = std::ceil(high[i] / cell) + 3;
    if (!(first > -kKeyRange && last < kKeyRange)) throw InvalidArgument::beyond_range(i, low[i], high[i]);
    if (i == features) break;  // has no field, and is as large as all others together where nobody bounds it
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

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
