// Blur: along each axis of the lattice in turn.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_BLUR_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_BLUR_INL_H
#undef CRFRNN_BLUR_INL_H
#else
#define CRFRNN_BLUR_INL_H
#endif

#include <algorithm>
#include <cstdint>
#include <vector>

#include "instruction_set-inl.h"
#include "lattice.h"
#include "prefetch.h"
#include "row-inl.h"
#include "threads.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

constexpr int kPrefetchChain = 24;   // vertices ahead along a chain

// One axis: v <- v + (v- + v+) / 2, in place along the chains. Vertices without a neighbour stay as they are.
// Threads cut the chains anywhere; the old values on both sides of every cut are saved first.
template <int P>
void blur_axis(const int32_t* chain, int64_t length, float* vertices) {
  const int threads = threads_for(length * P, kFloatsPerThread);
  std::vector<float> borders(2 * threads * P);  // of the vertex before the part of thread t, and of the part's first
  for (int t = 1; t < threads; ++t)
    for (int side = 0; side < 2; ++side) {
      const int32_t v = chain[part(length, t, threads).begin - 1 + side];
      std::copy_n(vertices + static_cast<int64_t>(v < 0 ? ~v : v) * P, P, &borders[(2 * t + side) * P]);
    }
  parallel(threads, [&](int thread) {
    const Range range = part(length, thread, threads);
    if (range.begin == range.end) return;
    auto vertex = [&](int32_t link) { return vertices + static_cast<int64_t>(link < 0 ? ~link : link) * P; };
    Row<P> before = thread > 0 ? Row<P>::load(&borders[2 * thread * P]) : Row<P>::zero();
    Row<P> here = Row<P>::load(vertex(chain[range.begin]));
    for (int64_t i = range.begin; i < range.end; ++i) {
      if (i + kPrefetchChain < range.end) prefetch_row<P>(vertex(chain[i + kPrefetchChain]));
      if (chain[i] < 0) before = Row<P>::zero();
      Row<P> after = Row<P>::zero();
      if (i + 1 < range.end) {
        after = Row<P>::load(vertex(chain[i + 1]));
      } else if (i + 1 < length) {
        after = Row<P>::load(&borders[(2 * thread + 3) * P]);
      }
      const float linked = i + 1 < length && chain[i + 1] >= 0 ? 0.5f : 0.0f;
      (here + before * 0.5f + after * linked).store(vertex(chain[i]));
      before = here;
      here = after;
    }
  });
}

// The transposed filter blurs the axes in reverse order: on a truncated lattice the blurs do not commute.
template <int P>
void blur(const Lattice& lattice, bool transposed, float* vertices) {
  const int64_t F = lattice.features;
  for (int64_t step = 0; step <= F; ++step) {
    const int64_t j = transposed ? F - step : step;
    const int64_t begin = lattice.chain_splits[j];
    blur_axis<P>(lattice.chains + begin, lattice.chain_splits[j + 1] - begin, vertices);
  }
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
