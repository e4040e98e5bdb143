// Mean-field iterations of at most four labels: the logits of a block of points stand label by label.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_FEW_LABELS_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_FEW_LABELS_INL_H
#undef CRFRNN_FEW_LABELS_INL_H
#else
#define CRFRNN_FEW_LABELS_INL_H
#endif

#include <algorithm>
#include <cstdint>
#include <vector>

#include "blur-inl.h"
#include "instruction_set-inl.h"
#include "memory.h"
#include "pairwise_term.h"
#include "row-inl.h"
#include "slice-inl.h"
#include "softmax-inl.h"
#include "splat-inl.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

// The update of a block of points of 2..4 labels, from blurred lattice rows of P floats.
template <int L, int P>
void update_columns(const PairwiseTerm* terms, int count, float* const* vertices, const float* unaries, int64_t begin,
                    int rows, float* out) {
  alignas(64) float x[L][kRows] = {};
  alignas(64) float message[kRows][P] = {};
  load_columns<L>(unaries + begin * L, rows, x);
  for (int k = 0; k < count; ++k) {
    const PairwiseTerm& term = terms[k];
    const float factor = slice_factor(term.lattice.features);
    const float* const scale_out = term.scale_out;
    float* const first = message[0];
    slice_points<P>(term.lattice, vertices[k], Range{begin, begin + rows}, [=](int64_t n, const Row<P>& row) {
      (row * (scale_out ? factor * scale_out[n] : factor)).store(first + (n - begin) * P);
    });
    for (int l = 0; l < L; ++l)
      for (int m = 0; m < L; ++m) {
        if (term.diagonal && l != m) continue;
        const float mixing = term.mixing[term.diagonal ? l : l * L + m];
        for (int n = 0; n < kRows; ++n) x[l][n] -= mixing * message[n][m];
      }
  }
  softmax_columns<L>(x, out + begin * L, rows);
}

// All terms are splatted before q is written, so the new q may take the place of the old.
template <int P>
void mean_field_few(const PairwiseTerm* terms, int count, const float* unaries, int labels, int iterations,
                    const float* q, Scratch& scratch, float* out) {
  Scratch::Mark mark(scratch);
  const int64_t N = terms[0].lattice.points;
  std::vector<float*> vertices(count);
  for (int k = 0; k < count; ++k) vertices[k] = scratch.take(terms[k].lattice.vertices() * P);
  for (int i = 0; i < iterations; ++i, q = out) {
    for (int k = 0; k < count; ++k) {
      Scratch::Mark buffers(scratch);
      splat<P>(terms[k].lattice, q, labels, labels, q + N * labels, terms[k].scale_in, Order::kTurns, scratch,
               vertices[k]);
      blur<P>(terms[k].lattice, false, vertices[k]);
    }
    for_blocks(N, [&](int, int64_t begin, int rows) {
      if constexpr (P == 1) {
        std::fill_n(out + begin, rows, 1.0f);  // a single label is certain
      } else if constexpr (P == 2) {
        update_columns<2, P>(terms, count, vertices.data(), unaries, begin, rows, out);
      } else {
        const auto update = labels == 3 ? update_columns<3, P> : update_columns<4, P>;
        update(terms, count, vertices.data(), unaries, begin, rows, out);
      }
    });
  }
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
