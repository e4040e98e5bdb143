// The mean-field step of more labels than a row of registers holds: lattice rows of kMaxChannels labels at a time, and the
// softmax over all of them.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_MANY_LABELS_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_MANY_LABELS_INL_H
#undef CRFRNN_MANY_LABELS_INL_H
#else
#define CRFRNN_MANY_LABELS_INL_H
#endif

#include <algorithm>
#include <cstdint>
#include <vector>

#include "blur-inl.h"
#include "instruction_set-inl.h"
#include "memory.h"
#include "message-inl.h"
#include "pairwise_term.h"
#include "row-inl.h"
#include "slice-inl.h"
#include "softmax-inl.h"
#include "splat-inl.h"
#include "threads.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

// Calls body(P as a constant, first label, number of labels <= P) for every part of the labels.
template <class Body>
void for_label_parts(int labels, Body body) {
  for (int first = 0; first < labels; first += kMaxChannels) {
    const int some = std::min(kMaxChannels, labels - first);
    with_row(some, [&](auto row) { body(row, first, some); });
  }
}

// The messages of a term at a block of points, in rows of `width` floats.
inline void messages_of_block(const PairwiseTerm& term, float* const* vertices, int labels, int64_t begin, int rows,
                              float* messages, int width) {
  const float factor = slice_factor(term.lattice.features);
  for_label_parts(labels, [&](auto row, int first, int) {
    constexpr int P = decltype(row)::value;
    const float* const part = vertices[first / kMaxChannels];
    slice_points<P>(term.lattice, part, Range{begin, begin + rows}, [&](int64_t n, const Row<P>& sliced) {
      (sliced * (term.scale_out ? factor * term.scale_out[n] : factor)).store(messages + (n - begin) * width + first);
    });
  });
}

inline void mean_field_step_many(const PairwiseTerm* terms, int count, const float* unaries, int labels, const float* q,
                                 Scratch& scratch, float* out) {
  Scratch::Mark mark(scratch);
  const int64_t N = terms[0].lattice.points;
  const int parts = (labels + kMaxChannels - 1) / kMaxChannels, width = long_row(labels);
  std::vector<float*> vertices(count * parts);
  for (int k = 0; k < count; ++k) {
    const Lattice& lattice = terms[k].lattice;
    for_label_parts(labels, [&](auto row, int first, int some) {
      constexpr int P = decltype(row)::value;
      float*& part = vertices[k * parts + first / kMaxChannels];
      part = scratch.take(lattice.vertices() * P);
      Scratch::Mark buffers(scratch);
      splat<P>(lattice, q + first, labels, some, q + N * labels, terms[k].scale_in, scratch, part);
      blur<P>(lattice, false, part);
    });
  }
  // A block's logits, and behind them its messages.
  float* const blocks = scratch.take(int64_t{threads_for(N)} * 2 * kRows * width);
  for_blocks(N, [&](int thread, int64_t begin, int rows) {
    float* const x = blocks + int64_t{thread} * 2 * kRows * width;
    float* const messages = x + kRows * width;
    load_logits(unaries + begin * labels, rows, labels, x, width);
    for (int k = 0; k < count; ++k) {
      messages_of_block(terms[k], &vertices[k * parts], labels, begin, rows, messages, width);
      for (int n = 0; n < rows; ++n) subtract_message(terms[k], labels, messages + n * width, 1.0f, x + n * width);
    }
    softmax_rows<8>(x, width, rows, labels, out + begin * labels);
  });
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
