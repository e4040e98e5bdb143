// P floats that stay in vector registers: compilers left alone with the plain loops sometimes keep them in memory.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_ROW_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_ROW_INL_H
#undef CRFRNN_ROW_INL_H
#else
#define CRFRNN_ROW_INL_H
#endif

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "instruction_set-inl.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

#if defined(__GNUC__) || defined(__clang__)
#define CRFRNN_ALWAYS_INLINE __attribute__((always_inline))
template <int W>
struct VectorOf {
  typedef float Type __attribute__((vector_size(W * sizeof(float))));
};
template <>
struct VectorOf<1> {
  typedef float Type;
};
#else
#define CRFRNN_ALWAYS_INLINE
template <int W>
struct Vector {
  float lanes[W];
  friend Vector operator+(Vector a, const Vector& b) {
    for (int i = 0; i < W; ++i) a.lanes[i] += b.lanes[i];
    return a;
  }
  friend Vector operator-(Vector a, const Vector& b) {
    for (int i = 0; i < W; ++i) a.lanes[i] -= b.lanes[i];
    return a;
  }
  friend Vector operator*(Vector a, const Vector& b) {
    for (int i = 0; i < W; ++i) a.lanes[i] *= b.lanes[i];
    return a;
  }
  friend Vector operator*(Vector a, float b) {
    for (int i = 0; i < W; ++i) a.lanes[i] *= b;
    return a;
  }
};
template <int W>
struct VectorOf {
  typedef Vector<W> Type;
};
#endif

// Head and tail rather than an array of vectors: members, unlike elements, are sure to become registers.
template <int P>
struct Row {
  static constexpr int kWidth = P < 8 ? P : 8;
  typename VectorOf<kWidth>::Type head;
  Row<P - kWidth> tail;

  static Row zero() { return Row{}; }
  static Row load(const float* from) {
    Row row;
    std::memcpy(&row.head, from, sizeof(row.head));
    row.tail = Row<P - kWidth>::load(from + kWidth);
    return row;
  }
  void store(float* to) const {
    std::memcpy(to, &head, sizeof(head));
    tail.store(to + kWidth);
  }
  Row operator+(const Row& other) const { return {head + other.head, tail + other.tail}; }
  Row operator-(const Row& other) const { return {head - other.head, tail - other.tail}; }
  Row operator*(const Row& other) const { return {head * other.head, tail * other.tail}; }
  Row operator*(float scale) const { return {head * scale, tail * scale}; }
};

template <>
struct Row<0> {
  static Row load(const float*) { return {}; }
  void store(float*) const {}
  Row operator+(const Row&) const { return {}; }
  Row operator-(const Row&) const { return {}; }
  Row operator*(const Row&) const { return {}; }
  Row operator*(float) const { return {}; }
};

// A row of values of which only the first `channels` <= P count; `end` is the end of the array. What stands in the other
// lanes is the next row, which is never written anywhere: copying the row first would cost more than the splat.
template <int P>
inline Row<P> load_channels(const float* values, int channels, const float* end) {
  if (channels == P || end - values >= P) return Row<P>::load(values);
  alignas(32) float padded[P] = {};
  for (int c = 0; c < channels; ++c) padded[c] = values[c];
  return Row<P>::load(padded);
}

constexpr int kMaxChannels = 32;             // channels filtered at a time
constexpr int64_t kFloatsPerThread = 32768;  // of lattice rows; see threads_for

// Calls body(P as a constant) for the smallest supported row that holds `channels` <= kMaxChannels.
template <class Body>
void with_row(int channels, Body body) {
  if (channels <= 1) return body(std::integral_constant<int, 1>());
  if (channels <= 2) return body(std::integral_constant<int, 2>());
  if (channels <= 4) return body(std::integral_constant<int, 4>());
  if (channels <= 8) return body(std::integral_constant<int, 8>());
  if (channels <= 16) return body(std::integral_constant<int, 16>());
  if (channels <= 24) return body(std::integral_constant<int, 24>());
  body(std::integral_constant<int, kMaxChannels>());
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
