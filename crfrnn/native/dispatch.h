// The lattice compiled for several instruction sets in one library, chosen when it is loaded, so that one wheel runs on
// any x86-64 and uses the vector units that are there. Elsewhere (aarch64) the baseline has the vector unit already.
#pragma once

#include <cstdlib>
#include <cstring>

#include "build-inl.h"
#include "check-inl.h"
#include "filter-inl.h"
#include "mean_field-inl.h"
#include "softmax-inl.h"

// Not with GCC on Windows, which keeps vectors on a stack that is not aligned for them (GCC bug 54412).
#if defined(__x86_64__) && (defined(__clang__) || (defined(__GNUC__) && !defined(_WIN32)))
#define CRFRNN_HAS_AVX2 1
#define CRFRNN_TOGGLE
#include "build-inl.h"
#include "check-inl.h"
#include "filter-inl.h"
#include "mean_field-inl.h"
#include "softmax-inl.h"
#undef CRFRNN_TOGGLE
#include <cpuid.h>
#endif

namespace crfrnn {

// Asked of the processor itself: what __builtin_cpu_supports finds depends on the compiler's runtime library (zig's, for
// one, finds nothing). CRFRNN_INSTRUCTION_SET=baseline leaves it unused, so that one machine can tell whether both give the
// same bits.
inline bool has_avx2() {
#ifdef CRFRNN_HAS_AVX2
  static const bool has = [] {
    const char* wanted = std::getenv("CRFRNN_INSTRUCTION_SET");
    if (wanted && std::strcmp(wanted, "baseline") == 0) return false;
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    const unsigned kFma = 1u << 12, kXsave = 1u << 27, kAvx = 1u << 28;
    if ((c & (kFma | kXsave | kAvx)) != (kFma | kXsave | kAvx)) return false;
    unsigned saved, high;  // which registers the system keeps when it switches tasks
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    const unsigned kXmmAndYmm = 6, kAvx2 = 1u << 5;
    return (saved & kXmmAndYmm) == kXmmAndYmm && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & kAvx2);
  }();
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
