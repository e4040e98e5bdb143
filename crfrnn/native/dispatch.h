// The lattice compiled for several instruction sets in one library, chosen when it is loaded, so that one wheel runs on
// any x86-64 and uses the vector units that are there. Elsewhere (aarch64) the baseline has the vector unit already.
#pragma once

#include "build-inl.h"
#include "filter-inl.h"
#include "mean_field-inl.h"
#include "processor.h"
#include "softmax-inl.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define CRFRNN_HAS_AVX2 1
#define CRFRNN_TOGGLE
#include "build-inl.h"
#include "filter-inl.h"
#include "mean_field-inl.h"
#include "softmax-inl.h"
#undef CRFRNN_TOGGLE
#endif

namespace crfrnn {

inline bool has_avx2() {
#ifdef CRFRNN_HAS_AVX2
  static const bool has = processor_has_avx2();
  return has;
#else
  return false;
#endif
}

#ifdef CRFRNN_HAS_AVX2
#define CRFRNN_DISPATCH(call) (has_avx2() ? avx2::call : baseline::call)
#else
#define CRFRNN_DISPATCH(call) (baseline::call)
#endif

}  // namespace crfrnn
