// What the lattice needs around it: limits, errors that name the argument, results of unknown size, reusable memory.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "lattice.h"
#include "threads.h"

#if defined(__GNUC__) || defined(__clang__)
#define CRFRNN_PREFETCH(address) __builtin_prefetch(address)
#else
#define CRFRNN_PREFETCH(address) (void)(address)
#endif

namespace crfrnn {

constexpr int kMaxFeatures = 32;
constexpr int kMaxChannels = 32;  // channels filtered at a time
constexpr int64_t kFloatsPerThread = 32768;  // of lattice rows; see threads_for
constexpr int64_t kCachedFloats = int64_t{1} << 17;  // half of a usual second-level cache
constexpr int64_t kManyVertices = int64_t{1} << 14;  // see splat_points
constexpr int kPrefetch = 8;         // points ahead, each with F + 1 rows
constexpr int kPrefetchChain = 24;   // vertices ahead along a chain
// Largest |elevated coordinate| / (F + 1). Beyond it float32 positions no longer resolve a tenth of a lattice cell.
constexpr int64_t kKeyRange = int64_t{1} << 19;

template <int P>
inline void prefetch_row(const float* row) {
  for (int c = 0; c < P; c += 16) CRFRNN_PREFETCH(row + c);  // 16 floats = one cache line
}

class InvalidArgument : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;

  static InvalidArgument beyond_range(int axis, double low, double high) {
    return InvalidArgument(
        "positions are beyond the range of lattice keys: elevated coordinate " + std::to_string(axis) + " spans [" +
        std::to_string(low) + ", " + std::to_string(high) + "], expected a magnitude below " +
        std::to_string(kKeyRange) + " * (F + 1). Centre the positions or use larger bandwidths (theta).");
  }

  // Some elevated coordinate of a block of points is not finite: because a position is not, or because it is huge.
  static InvalidArgument not_finite(const float* positions, int64_t begin, int64_t points, int features) {
    const int64_t end = std::min<int64_t>(begin + 1024, points);
    for (int64_t n = begin; n < end; ++n)
      for (int f = 0; f < features; ++f)
        if (!std::isfinite(positions[n * features + f]))
          return InvalidArgument("positions must be finite, received " + std::to_string(positions[n * features + f]) +
                                 " at point " + std::to_string(n) + ", feature " + std::to_string(f) +
                                 ". Check the image and the bandwidths (theta) for NaN, infinity and zero.");
    return beyond_range(0, -HUGE_VAL, HUGE_VAL);
  }
};

// Typed access to the caller's allocator.
class Outputs {
 public:
  explicit Outputs(Allocator allocator) : allocator_(allocator) {}
  template <class T>
  T* get(Output output, int64_t count) const {
    void* data = nullptr;
    allocator_.allocate(allocator_.context, output, count, &data);
    if (!data && count > 0) throw std::bad_alloc();
    return static_cast<T*>(data);
  }

 private:
  Allocator allocator_;
};

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

// Aligned memory for what is visited in no order: with 4 KiB pages every visit misses the address cache as well, so Linux
// is asked for large pages. (Measured: blur and hash table a quarter to a third faster.)
inline void* allocate_large(size_t bytes) {
  constexpr size_t kLargePage = size_t{1} << 21;
  const bool large = bytes >= kLargePage;
  void* data = ::operator new(bytes, std::align_val_t(large ? kLargePage : 64));
#if defined(__linux__)
  if (large) madvise(data, bytes, MADV_HUGEPAGE);
#endif
  return data;
}
inline void free_large(void* data, size_t bytes) {
  ::operator delete(data, std::align_val_t(bytes >= size_t{1} << 21 ? size_t{1} << 21 : 64));
}

// The same for std::vector.
template <class T>
struct LargePages {
  using value_type = T;
  LargePages() = default;
  template <class U>
  LargePages(const LargePages<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(allocate_large(count * sizeof(T))); }
  void deallocate(T* data, size_t count) { free_large(data, count * sizeof(T)); }
  bool operator==(const LargePages&) const { return true; }
  bool operator!=(const LargePages&) const { return false; }
};
template <class T>
using LargeVector = std::vector<T, LargePages<T>>;

// Memory for lattice rows, kept between calls: fresh pages cost as much as the splat itself. A stack of aligned pieces;
// Mark gives back what was taken after it.
class Scratch {
 public:
  float* take(int64_t floats) {
    if (used_ == pieces_.size()) pieces_.emplace_back();
    LargeVector<float>& piece = pieces_[used_];
    if (static_cast<int64_t>(piece.size()) < floats) {
      piece = LargeVector<float>();  // the old memory goes first: the two never stand side by side
      piece.resize(floats);
    }
    ++used_;
    return piece.data();
  }

  class Mark {
   public:
    explicit Mark(Scratch& scratch) : scratch_(scratch), used_(scratch.used_) {}
    ~Mark() { scratch_.used_ = used_; }
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;

   private:
    Scratch& scratch_;
    size_t used_;
  };

 private:
  std::vector<LargeVector<float>> pieces_;
  size_t used_ = 0;
};

// One Scratch per call in flight; the last one used is kept for the next call.
class ScratchLease {
 public:
  ScratchLease() {
    std::lock_guard<std::mutex> lock(mutex());
    scratch_ = std::move(kept());
    if (!scratch_) scratch_ = std::make_unique<Scratch>();
  }
  ~ScratchLease() {
    std::lock_guard<std::mutex> lock(mutex());
    kept() = std::move(scratch_);
  }
  ScratchLease(const ScratchLease&) = delete;
  ScratchLease& operator=(const ScratchLease&) = delete;
  Scratch& operator*() { return *scratch_; }

  static std::mutex& mutex() {
    static std::mutex instance;
    return instance;
  }

 private:
  static std::unique_ptr<Scratch>& kept() {
    static std::unique_ptr<Scratch> instance;
    return instance;
  }
  std::unique_ptr<Scratch> scratch_;
};

// A kernel of the CRF: its filter, and how the filtered q enters the update.
struct Kernel {
  Lattice lattice;
  const float* scale_in;   // (N) or null
  const float* scale_out;  // (N) or null
  const float* mixing;     // compatibility times kernel weights: (L, L), or (L) when diagonal
  int32_t diagonal;
};

}  // namespace crfrnn
