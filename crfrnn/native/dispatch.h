// The lattice compiled for several instruction sets in one library, chosen when it is loaded, so that one wheel runs on
// any x86-64 and uses the vector units that are there. Elsewhere (aarch64) the baseline has the vector unit already.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <numeric>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "lattice.h"
#include "support.h"
#include "threads.h"

namespace crfrnn {

namespace baseline {
#include "build.h"
#include "row.h"
#include "filter.h"
#include "mean_field.h"
}  // namespace baseline

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define CRFRNN_HAS_AVX2 1
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#include "build.h"
#include "row.h"
#include "filter.h"
#include "mean_field.h"
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

inline bool has_avx2() {
#ifdef CRFRNN_HAS_AVX2
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
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
