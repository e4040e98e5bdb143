// Typed access to the memory that the caller gives.
#pragma once

#include <cstdint>
#include <new>

#include "lattice.h"

namespace crfrnn {

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

}  // namespace crfrnn
