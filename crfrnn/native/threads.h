// Loops over parts of the work, on all threads (helpers.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <mutex>
#include <vector>

#include "helpers.h"

namespace crfrnn {

// Whether this thread's calls add up points in their order, on it alone: then a sum depends on the points that it is of,
// and neither on how many others there are nor on the number of threads.
inline bool& in_order() {
  thread_local bool value = false;
  return value;
}

// Small work stays on one thread: waking another costs the time of some thousand points.
inline int threads_for(int64_t items, int64_t items_per_thread = 4096) {
  if (in_order()) return 1;
  return static_cast<int>(std::clamp<int64_t>(items / items_per_thread, 1, max_threads()));
}

// Calls body(thread) for thread = 0..threads-1. What is done depends on that number alone, never on which thread does it
// when, so results are bit-identical for a given number. The body must not throw.
template <class Body>
void parallel(int threads, Body body) {
  if (threads > 1) {
    // Helpers work for one loop at a time. When several threads of the program call the library, one of them has the
    // helpers and the others are busy enough alone.
    std::unique_lock<std::mutex> turn(helpers_turn(), std::try_to_lock);
    if (turn.owns_lock())
      return Helpers::instance().run(
          threads, [](void* data, int thread) { (*static_cast<Body*>(data))(thread); }, &body);
  }
  for (int thread = 0; thread < threads; ++thread) body(thread);
}

// parallel() for bodies that may throw: the first error is rethrown in the calling thread.
template <class Body>
void parallel_or_throw(int threads, Body body) {
  std::vector<std::exception_ptr> errors(threads);
  parallel(threads, [&](int thread) {
    try {
      body(thread);
    } catch (...) {
      errors[thread] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
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
