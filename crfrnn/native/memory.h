// Memory for what is large: on large pages, and kept between calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace crfrnn {

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

}  // namespace crfrnn
