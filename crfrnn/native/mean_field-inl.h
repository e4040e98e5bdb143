// The mean-field iterations of the offline CRF. They compute what crfrnn/meanfield/mean_field.py computes; there is no
// gradient to carry here.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_MEAN_FIELD_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_MEAN_FIELD_INL_H
#undef CRFRNN_MEAN_FIELD_INL_H
#else
#define CRFRNN_MEAN_FIELD_INL_H
#endif

#include "few_labels-inl.h"
#include "instruction_set-inl.h"
#include "many_labels-inl.h"
#include "memory.h"
#include "pairwise_term.h"
#include "softmax-inl.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

// q <- softmax(unaries - sum_k A_k diag(out_k) K_k diag(in_k) q), where A_k = compatibility W_k is (L, L), or (L,) when it
// is diagonal. q is where to start, null for the softmax of the unaries; out may be q.
inline void mean_field(const PairwiseTerm* terms, int count, const float* unaries, int labels, int iterations,
                       const float* q, Scratch& scratch, float* out) {
  if (labels > 4) return mean_field_many(terms, count, unaries, labels, iterations, q, scratch, out);
  if (!q) softmax(unaries, terms[0].lattice.points, labels, scratch, out);
  const float* const start = q ? q : out;
  if (labels == 1) return mean_field_few<1>(terms, count, unaries, labels, iterations, start, scratch, out);
  if (labels == 2) return mean_field_few<2>(terms, count, unaries, labels, iterations, start, scratch, out);
  mean_field_few<4>(terms, count, unaries, labels, iterations, start, scratch, out);
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
