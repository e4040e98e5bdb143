// The softmax over the labels of each point.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_SOFTMAX_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_SOFTMAX_INL_H
#undef CRFRNN_SOFTMAX_INL_H
#else
#define CRFRNN_SOFTMAX_INL_H
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "instruction_set-inl.h"
#include "memory.h"
#include "row-inl.h"
#include "threads.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

// exp(x) for x <= 0, relative error below 2e-7, 0 below exp(-87) and NaN of NaN: 2^n (n whole) times a polynomial on
// [-ln2/2, ln2/2] (the minimax coefficients of Cephes' expf). Written without branches so that loops over it become vector
// code.
inline float exp_negative(float logit) {
  const float x = logit < -87.0f ? -87.0f : logit;  // exp(-87) is the smallest that keeps 2^n a normal number
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23, see find_simplices
  const float rounded = x * 1.44269504f + kRound;  // n stands in its last bits
  const float n = rounded - kRound;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts, so that n ln 2 is exact
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  // Of NaN, and of what a NaN in the same row leaves positive, these are any bits; the result will be NaN through p.
  uint32_t bits;
  std::memcpy(&bits, &rounded, sizeof(bits));
  bits = (bits << 23) + (127u << 23);
  float power;
  std::memcpy(&power, &bits, sizeof(power));
  return logit < -87.0f ? 0.0f : p * power;
}

// Largest and sum of a row of numbers. Eight running results instead of one: a single chain would wait for itself.
template <int kLanes, class Combine>
inline float reduce_row(const float* row, int width, Combine combine) {
  float lanes[kLanes];
  for (int c = 0; c < kLanes; ++c) lanes[c] = row[c];
  for (const float* part = row + kLanes; part != row + width; part += kLanes)
    for (int c = 0; c < kLanes; ++c) lanes[c] = combine(lanes[c], part[c]);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int c = 0; c < half; ++c) lanes[c] = combine(lanes[c], lanes[c + half]);
  return lanes[0];
}

// Some points at a time, their logits in rows of P; channels beyond the labels hold kNoLabel, which no softmax sees.
constexpr int kRows = 64;
constexpr float kNoLabel = -std::numeric_limits<float>::infinity();

// The softmax of rows of `width` floats, a multiple of kLanes.
template <int kLanes>
inline void softmax_rows(float* x, int width, int rows, int labels, float* q) {
  for (int n = 0; n < rows; ++n) {
    float* const row = x + n * width;
    const float largest = reduce_row<kLanes>(row, width, [](float a, float b) { return a > b ? a : b; });
    for (int l = 0; l < width; ++l) row[l] -= largest;
  }
  for (int i = 0; i < rows * width; ++i) x[i] = exp_negative(x[i]);
  for (int n = 0; n < rows; ++n) {
    const float* const row = x + n * width;
    const float inverse = 1.0f / reduce_row<kLanes>(row, width, [](float a, float b) { return a + b; });
    float* const to = q + n * labels;
    for (int l = 0; l < labels; ++l) to[l] = row[l] * inverse;
  }
}

inline void load_logits(const float* logits, int rows, int labels, float* x, int width) {
  for (int n = 0; n < rows; ++n) {
    std::copy_n(logits + n * labels, labels, x + n * width);
    std::fill(x + n * width + labels, x + (n + 1) * width, kNoLabel);
  }
}

// The length of such rows for more labels than registers hold.
inline int long_row(int labels) { return (labels + 7) / 8 * 8; }

// Calls body(thread, first point, number of points) for blocks of at most kRows points, on all threads.
template <class Body>
void for_blocks(int64_t points, Body body) {
  const int threads = threads_for(points);
  parallel(threads, [&](int thread) {
    const Range range = part(points, thread, threads);
    for (int64_t begin = range.begin; begin < range.end; begin += kRows)
      body(thread, begin, static_cast<int>(std::min<int64_t>(kRows, range.end - begin)));
  });
}

// Few labels: the block stands label by label, so that all loops run over the points and become vector code.
template <int L>
inline void load_columns(const float* logits, int rows, float (*x)[kRows]) {
  for (int n = 0; n < rows; ++n)
    for (int l = 0; l < L; ++l) x[l][n] = logits[n * L + l];
}

template <int L>
inline void softmax_columns(float (*x)[kRows], float* q, int rows) {
  float largest[kRows], sum[kRows] = {};
  for (int n = 0; n < kRows; ++n) largest[n] = x[0][n];
  for (int l = 1; l < L; ++l)
    for (int n = 0; n < kRows; ++n) largest[n] = x[l][n] > largest[n] ? x[l][n] : largest[n];
  for (int l = 0; l < L; ++l)
    for (int n = 0; n < kRows; ++n) {
      x[l][n] = exp_negative(x[l][n] - largest[n]);
      sum[n] += x[l][n];
    }
  for (int n = 0; n < kRows; ++n) sum[n] = 1.0f / sum[n];
  for (int n = 0; n < rows; ++n)
    for (int l = 0; l < L; ++l) q[n * L + l] = x[l][n] * sum[n];
}

template <int L>
void softmax_few(const float* logits, int64_t points, float* q) {
  for_blocks(points, [&](int, int64_t begin, int rows) {
    alignas(64) float x[L][kRows] = {};
    load_columns<L>(logits + begin * L, rows, x);
    softmax_columns<L>(x, q + begin * L, rows);
  });
}

template <int P>
void softmax_points(const float* logits, int64_t points, int labels, float* q) {
  for_blocks(points, [&](int, int64_t begin, int rows) {
    alignas(64) float x[kRows * P];
    load_logits(logits + begin * labels, rows, labels, x, P);
    softmax_rows<Row<P>::kWidth>(x, P, rows, labels, q + begin * labels);
  });
}

inline void softmax(const float* logits, int64_t points, int labels, Scratch& scratch, float* q) {
  if (labels == 2) return softmax_few<2>(logits, points, q);
  if (labels == 3) return softmax_few<3>(logits, points, q);
  if (labels == 4) return softmax_few<4>(logits, points, q);
  if (labels <= kMaxChannels)
    return with_row(labels, [&](auto row) { softmax_points<decltype(row)::value>(logits, points, labels, q); });
  Scratch::Mark mark(scratch);
  const int width = long_row(labels);
  float* const blocks = scratch.take(int64_t{threads_for(points)} * kRows * width);
  for_blocks(points, [&](int thread, int64_t begin, int rows) {
    float* const x = blocks + int64_t{thread} * kRows * width;
    load_logits(logits + begin * labels, rows, labels, x, width);
    softmax_rows<8>(x, width, rows, labels, q + begin * labels);
  });
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
