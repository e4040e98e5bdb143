// Threads: OpenMP when the compiler has it, otherwise one. OMP_NUM_THREADS is respected.
#pragma once

#include <algorithm>
#include <cstdint>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace crfrnn {

// The points come in this many parts, the units that threads share out (see Lattice::seen); more threads are not used.
constexpr int kParts = 64;

inline int max_threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

// Starting a team costs some microseconds, the time of a few thousand points, so small work stays on one thread. On a busy
// machine it costs a time slice, which is a reason to start few.
inline int threads_for(int64_t items, int64_t items_per_thread = 4096) {
  return static_cast<int>(std::clamp<int64_t>(items / items_per_thread, 1, std::min(max_threads(), kParts)));
}

// Calls body(thread) for thread = 0..threads-1. What a thread does depends on its number alone, never on timing, so
// results are bit-identical for a given thread count. The body must not throw.
template <class Body>
void parallel(int threads, Body body) {
  if (threads == 1) return body(0);
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(static, 1)
#endif
  for (int thread = 0; thread < threads; ++thread) body(thread);
}

// The part [begin, end) of `items` that belongs to `thread`; parts are contiguous and in order.
struct Range {
  int64_t begin, end;
};
inline Range part(int64_t items, int thread, int threads) {
  return {items * thread / threads, items * (thread + 1) / threads};
}

// The points [begin, end) in parts [begin, end).
inline Range points_in(Range parts, int64_t points) {
  return {points * parts.begin / kParts, points * parts.end / kParts};
}

}  // namespace crfrnn
