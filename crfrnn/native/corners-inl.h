// What the loops over points and the corners of their simplices share.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_CORNERS_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_CORNERS_INL_H
#undef CRFRNN_CORNERS_INL_H
#else
#define CRFRNN_CORNERS_INL_H
#endif

#include <cstdint>
#include <type_traits>

#include "instruction_set-inl.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

constexpr int64_t kCachedFloats = int64_t{1} << 17;  // half of a usual second-level cache
constexpr int kPrefetch = 8;         // points ahead, each with F + 1 rows

// Calls body(F + 1 as a constant) for the usual numbers of features, else body(0): loops over the corners of a simplex are
// so short that their bookkeeping costs as much as they do.
template <class Body>
void with_corners(int64_t features, Body body) {
  if (features == 2) return body(std::integral_constant<int, 3>());
  if (features == 3) return body(std::integral_constant<int, 4>());
  if (features == 4) return body(std::integral_constant<int, 5>());
  if (features == 5) return body(std::integral_constant<int, 6>());
  body(std::integral_constant<int, 0>());
}

// Rows that stay in the cache by themselves are not worth asking for.
inline bool worth_prefetching(int64_t rows, int row_length) { return rows * row_length > kCachedFloats; }

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
