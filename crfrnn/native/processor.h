// What the processor can do.
#pragma once

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <cpuid.h>

namespace crfrnn {

// Asked of the processor itself: in what zig links, __builtin_cpu_supports says no to everything, also after
// __builtin_cpu_init.
inline bool processor_has_avx2() {
  constexpr unsigned kFma = 1u << 12, kOsxsave = 1u << 27;  // of ecx, leaf 1
  constexpr unsigned kAvx2 = 1u << 5;                        // of ebx, leaf 7
  constexpr unsigned kSavesYmm = 6;                          // of XCR0: the system keeps both halves of the registers
  unsigned eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || ~ecx & (kFma | kOsxsave)) return false;
  __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  if (~eax & kSavesYmm) return false;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & kAvx2);
}

}  // namespace crfrnn

#endif
