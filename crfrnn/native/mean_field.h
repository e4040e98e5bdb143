// One mean-field step of the offline CRF in three passes: splat, blur, and all per-point work in one go. It computes what
// crfrnn/mean_field.py computes; there is no gradient to carry here.
// Included once per instruction set, inside a namespace of that name (dispatch.h); hence no #pragma once.

// exp(x) for x <= 0, relative error below 2e-7, and 0 below exp(-87): 2^n (n whole) times a polynomial on [-ln2/2, ln2/2] (the minimax
// coefficients of Cephes' expf). Written without branches so that loops over it become vector code.
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
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
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

// x -= scale * A_k message, for one point.
inline void subtract_message(const Kernel& kernel, int labels, const float* message, float scale, float* x) {
  if (kernel.diagonal) {
    for (int l = 0; l < labels; ++l) x[l] -= kernel.mixing[l] * (scale * message[l]);
    return;
  }
  for (int l = 0; l < labels; ++l) {
    float sum = 0;
    for (int m = 0; m < labels; ++m) sum += kernel.mixing[l * labels + m] * message[m];
    x[l] -= scale * sum;
  }
}

// The update of a block of points of 2..4 labels, from blurred lattice rows of P floats.
template <int L, int P>
void update_columns(const Kernel* kernels, int count, float* const* vertices, const float* unaries, int64_t begin,
                    int rows, float* out) {
  alignas(64) float x[L][kRows] = {};
  alignas(64) float message[kRows][P] = {};
  load_columns<L>(unaries + begin * L, rows, x);
  for (int k = 0; k < count; ++k) {
    const Kernel& kernel = kernels[k];
    const float factor = slice_factor(kernel.lattice.features);
    const float* const scale_out = kernel.scale_out;
    float* const first = message[0];
    slice_points<P>(kernel.lattice, vertices[k], Range{begin, begin + rows}, [=](int64_t n, const Row<P>& row) {
      (row * (scale_out ? factor * scale_out[n] : factor)).store(first + (n - begin) * P);
    });
    for (int l = 0; l < L; ++l)
      for (int m = 0; m < L; ++m) {
        if (kernel.diagonal && l != m) continue;
        const float mixing = kernel.mixing[kernel.diagonal ? l : l * L + m];
        for (int n = 0; n < kRows; ++n) x[l][n] -= mixing * message[n][m];
      }
  }
  softmax_columns<L>(x, out + begin * L, rows);
}

// The same for any number of labels up to a row's length.
template <int P>
void update_rows(const Kernel* kernels, int count, float* const* vertices, const float* unaries, int labels,
                 int64_t begin, int rows, float* out) {
  alignas(64) float x[kRows][P];
  load_logits<P>(unaries + begin * labels, rows, labels, x);
  for (int k = 0; k < count; ++k) {
    const Kernel& kernel = kernels[k];
    const float factor = slice_factor(kernel.lattice.features);
    slice_points<P>(kernel.lattice, vertices[k], Range{begin, begin + rows}, [&](int64_t n, const Row<P>& sliced) {
      alignas(32) float row[P] = {};
      sliced.store(row);
      const float scale = kernel.scale_out ? factor * kernel.scale_out[n] : factor;
      subtract_message(kernel, labels, row, scale, x[n - begin]);
    });
  }
  softmax_rows<P>(x, rows, labels, out + begin * labels);
}

// q <- softmax(unaries - sum_k A_k diag(out_k) K_k diag(in_k) q), where A_k = compatibility W_k is (L, L), or (L,) when it
// is diagonal. All kernels are splatted before q is written, so the new q may take the place of the old.
template <int P>
void mean_field_step_rows(const Kernel* kernels, int count, const float* unaries, int labels, const float* q,
                          Scratch& scratch, float* out) {
  Scratch::Mark mark(scratch);
  const int64_t N = kernels[0].lattice.points;
  std::vector<float*> vertices(count);
  for (int k = 0; k < count; ++k) {
    const Lattice& lattice = kernels[k].lattice;
    vertices[k] = scratch.take(lattice.vertices() * P);
    Scratch::Mark buffers(scratch);
    splat<P>(lattice, q, labels, labels, q + N * labels, kernels[k].scale_in, scratch, vertices[k]);
    blur<P>(lattice, false, vertices[k]);
  }
  for_blocks(N, [&](int64_t begin, int rows) {
    if constexpr (P == 1) {
      std::fill_n(out + begin, rows, 1.0f);  // a single label is certain
    } else if constexpr (P == 2) {
      update_columns<2, P>(kernels, count, vertices.data(), unaries, begin, rows, out);
    } else if constexpr (P == 4) {
      const auto update = labels == 3 ? update_columns<3, P> : update_columns<4, P>;
      update(kernels, count, vertices.data(), unaries, begin, rows, out);
    } else {
      update_rows<P>(kernels, count, vertices.data(), unaries, labels, begin, rows, out);
    }
  });
}

inline void mean_field_step(const Kernel* kernels, int count, const float* unaries, int labels, const float* q,
                            Scratch& scratch, float* out) {
  if (labels <= kMaxChannels) {
    with_row(labels, [&](auto row) {
      mean_field_step_rows<decltype(row)::value>(kernels, count, unaries, labels, q, scratch, out);
    });
    return;
  }
  // More labels than a row holds: filter block by block into buffers, then the same update.
  Scratch::Mark mark(scratch);
  const int64_t N = kernels[0].lattice.points;
  std::vector<float*> messages(count);
  for (int k = 0; k < count; ++k) {
    messages[k] = scratch.take(N * labels);
    filter(kernels[k].lattice, q, labels, kernels[k].scale_in, kernels[k].scale_out, false, scratch, messages[k]);
  }
  for_blocks(N, [&](int64_t begin, int rows) {
    for (int64_t n = begin; n < begin + rows; ++n) {
      float* x = out + n * labels;
      std::copy_n(unaries + n * labels, labels, x);
      for (int k = 0; k < count; ++k) subtract_message(kernels[k], labels, messages[k] + n * labels, 1.0f, x);
      softmax_long_row(x, labels, x);
    }
  });
}
