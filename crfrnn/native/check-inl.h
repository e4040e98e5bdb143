// Whether arrays are a lattice: those of a saved model may be anything, and what follows them would read and write anywhere.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_CHECK_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_CHECK_INL_H
#undef CRFRNN_CHECK_INL_H
#else
#define CRFRNN_CHECK_INL_H
#endif

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>

#include "errors.h"
#include "instruction_set-inl.h"
#include "lattice.h"
#include "threads.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

// Whether counts begin at zero, never fall and end at no more than `most`.
inline bool are_splits(const int64_t* splits, int64_t count, int64_t most) {
  return splits[0] == 0 && std::is_sorted(splits, splits + count) && splits[count - 1] <= most;
}

inline bool are_below(const int32_t* ids, int64_t count, int64_t bound) {
  uint32_t largest = 0;  // negative ids are large as well
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, static_cast<uint32_t>(ids[i]));
  return count == 0 || largest < bound;
}

inline bool are_links(const int32_t* chains, int64_t count, int64_t vertices) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, static_cast<uint32_t>(chains[i] ^ (chains[i] >> 31)));
  return count == 0 || largest < vertices;
}

// Throws InvalidArgument unless following the lattice stays within its arrays; `chains` is the length of that array. The
// weights may be any: wrong ones make wrong values, no more.
inline void check_lattice(const Lattice& lattice, int64_t chains) {
  const int64_t N = lattice.points, F = lattice.features;
  const auto refuse = [](const char* what) {
    throw InvalidArgument("Expected a lattice as CrfrnnLattice makes it. Received one " + std::string(what) +
                          ". The model that holds it is damaged, or was not made by crfrnn.");
  };
  if (!are_splits(lattice.seen, kParts + 1, N * (F + 1))) refuse("whose `seen` does not count vertices");
  if (!are_splits(lattice.chain_splits, F + 2, chains)) refuse("whose chain_splits do not split its chains");
  const int64_t M = lattice.vertices(), links = lattice.chain_splits[F + 1];
  std::atomic<const char*> wrong{nullptr};
  const int threads = threads_for(N);
  parallel(threads, [&](int thread) {
    const Range parts = part(kParts, thread, threads);
    for (int64_t p = parts.begin; p < parts.end; ++p) {
      const Range range = points_in({p, p + 1}, N);
      const int64_t first = range.begin * (F + 1), count = range.end * (F + 1) - first;
      if (!are_below(lattice.vertex_ids + first, count, lattice.seen[p + 1])) wrong = "whose vertex_ids are out of range";
    }
    const Range range = part(links, thread, threads);
    if (!are_links(lattice.chains + range.begin, range.end - range.begin, M)) wrong = "whose chains are out of range";
  });
  if (wrong) refuse(wrong);
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
