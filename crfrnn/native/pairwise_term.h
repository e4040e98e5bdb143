// One pairwise term of the CRF's energy.
#pragma once

#include <cstdint>

#include "lattice.h"

namespace crfrnn {

// The filter of the term, and how the filtered q enters the update.
struct PairwiseTerm {
  Lattice lattice;
  const float* scale_in;   // (N) or null
  const float* scale_out;  // (N) or null
  const float* mixing;     // compatibility times kernel weights: (L, L), or (L) when diagonal
  int32_t diagonal;
};

}  // namespace crfrnn
