// Filtering with a lattice: splat, blur, slice. K values = alpha * slice(blur(splat(values))).
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_FILTER_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_FILTER_INL_H
#undef CRFRNN_FILTER_INL_H
#else
#define CRFRNN_FILTER_INL_H
#endif

#include <algorithm>
#include <cstdint>

#include "blur-inl.h"
#include "instruction_set-inl.h"
#include "lattice.h"
#include "memory.h"
#include "row-inl.h"
#include "slice-inl.h"
#include "splat-inl.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

template <int P>
void filter_channels(const Lattice& lattice, const float* values, int stride, int channels, const float* end,
                     const float* scale_in, const float* scale_out, bool transposed, Scratch& scratch, float* out) {
  Scratch::Mark mark(scratch);
  float* vertices = scratch.take(lattice.vertices() * P);
  splat<P>(lattice, values, stride, channels, end, scale_in, Order::kTurns, scratch, vertices);
  blur<P>(lattice, transposed, vertices);
  slice<P>(lattice, vertices, channels, stride, scale_out, out);
}

inline void filter(const Lattice& lattice, const float* values, int64_t channels, const float* scale_in,
                   const float* scale_out, bool transposed, Scratch& scratch, float* out) {
  for (int64_t first = 0; first < channels; first += kMaxChannels) {
    const int some = static_cast<int>(std::min<int64_t>(kMaxChannels, channels - first));
    with_row(some, [&](auto row) {
      filter_channels<decltype(row)::value>(lattice, values + first, static_cast<int>(channels), some,
                                            values + lattice.points * channels, scale_in, scale_out, transposed,
                                            scratch, out + first);
    });
  }
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
