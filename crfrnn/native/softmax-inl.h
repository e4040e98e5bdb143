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
#include <numeric>

#include "instruction_set-inl.h"
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
  const float n = (x * 1.44269504f + kRound) - kRound;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts, so that n ln 2 is exact
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  // Of NaN, and of what a NaN in the same row leaves positive, n is no exponent; the result will be NaN through p.
  const float exponent = n > -126.0f ? (n < 127.0f ? n : 127.0f) : -126.0f;
  const int32_t bits = (static_cast<int32_t>(exponent) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof(power));
  return logit < -87.0f ? 0.0f : p * power;
}

// Largest and sum of a row of P numbers. Eight running results instead of one: a single chain would wait for itself.
template <int P, class Combine>
inline float reduce_row(const float* row, Combine combine) {
  constexpr int kLanes = P < 8 ? P : 8;
  float lanes[kLanes];
  for (int c = 0; c < kLanes; ++c) lanes[c] = row[c];
  for (int first = kLanes; first < P; first += kLanes)
    for (int c = 0; c < kLanes; ++c) lanes[c] = combine(lanes[c], row[first + c]);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int c = 0; c < half; ++c) lanes[c] = combine(lanes[c], lanes[c + half]);
  return lanes[0];
}

// Some points at a time, their logits in rows of P; channels beyond the labels hold kNoLabel, which no softmax sees.
constexpr int kRows = 64;
constexpr float kNoLabel = -std::numeric_limits<float>::infinity();

template <int P>
inline void softmax_rows(float (*x)[P], int rows, int labels, float* q) {
  for (int n = 0; n < rows; ++n) {
    const float largest = reduce_row<P>(x[n], [](float a, float b) { return a > b ? a : b; });
    for (int l = 0; l < P; ++l) x[n][l] -= largest;
  }
  float* all = x[0];
  for (int i = 0; i < rows * P; ++i) all[i] = exp_negative(all[i]);
  for (int n = 0; n < rows; ++n) {
    const float inverse = 1.0f / reduce_row<P>(x[n], [](float a, float b) { return a + b; });
    for (int l = 0; l < labels; ++l) q[n * labels + l] = x[n][l] * inverse;
  }
}

template <int P>
inline void load_logits(const float* logits, int rows, int labels, float (*x)[P]) {
  for (int n = 0; n < rows; ++n) {
    for (int l = 0; l < P; ++l) x[n][l] = kNoLabel;
    for (int l = 0; l < labels; ++l) x[n][l] = logits[n * labels + l];
  }
}

// Calls body(first point, number of points) for blocks of at most kRows points, on all threads.
template <class Body>
void for_blocks(int64_t points, Body body) {
  const int threads = threads_for(points);
  parallel(threads, [&](int thread) {
    const Range range = part(points, thread, threads);
    for (int64_t begin = range.begin; begin < range.end; begin += kRows)
      body(begin, static_cast<int>(std::min<int64_t>(kRows, range.end - begin)));
  });
}

// More labels than a row holds.
inline void softmax_long_row(const float* logits, int labels, float* q) {
  const float largest = *std::max_element(logits, logits + labels);
  for (int l = 0; l < labels; ++l) q[l] = exp_negative(logits[l] - largest);
  const float inverse = 1.0f / std::accumulate(q, q + labels, 0.0f);
  for (int l = 0; l < labels; ++l) q[l] *= inverse;
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
  for_blocks(points, [&](int64_t begin, int rows) {
    alignas(64) float x[L][kRows] = {};
    load_columns<L>(logits + begin * L, rows, x);
    softmax_columns<L>(x, q + begin * L, rows);
  });
}

template <int P>
void softmax_points(const float* logits, int64_t points, int labels, float* q) {
  for_blocks(points, [&](int64_t begin, int rows) {
    alignas(64) float x[kRows][P];
    load_logits<P>(logits + begin * labels, rows, labels, x);
    softmax_rows<P>(x, rows, labels, q + begin * labels);
  });
}

inline void softmax(const float* logits, int64_t points, int labels, float* q) {
  if (labels == 2) return softmax_few<2>(logits, points, q);
  if (labels == 3) return softmax_few<3>(logits, points, q);
  if (labels == 4) return softmax_few<4>(logits, points, q);
  if (labels <= kMaxChannels)
    return with_row(labels, [&](auto row) { softmax_points<decltype(row)::value>(logits, points, labels, q); });
  for_blocks(points, [&](int64_t begin, int rows) {
    for (int64_t n = begin; n < begin + rows; ++n) softmax_long_row(logits + n * labels, labels, q + n * labels);
  });
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
