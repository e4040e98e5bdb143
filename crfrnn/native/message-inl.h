// What a message does to the logits of a point.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_MESSAGE_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_MESSAGE_INL_H
#undef CRFRNN_MESSAGE_INL_H
#else
#define CRFRNN_MESSAGE_INL_H
#endif

#include "instruction_set-inl.h"
#include "pairwise_term.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

// x -= scale * A_k message, for one point.
inline void subtract_message(const PairwiseTerm& term, int labels, const float* message, float scale, float* x) {
  if (term.diagonal) {
    for (int l = 0; l < labels; ++l) x[l] -= term.mixing[l] * (scale * message[l]);
    return;
  }
  for (int l = 0; l < labels; ++l) {
    float sum = 0;
    for (int m = 0; m < labels; ++m) sum += term.mixing[l * labels + m] * message[m];
    x[l] -= scale * sum;
  }
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
