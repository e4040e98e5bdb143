// What stands between the two steps of building a lattice: who is beside whom, before that is written as chains.
#pragma once

#include <cstdint>
#include <vector>

#include "memory.h"

namespace crfrnn {

struct Neighbours {
  int64_t vertices;                              // M
  LargeVector<int32_t> plus;                     // (F + 1, M): the neighbour one step along each axis, or -1
  std::vector<std::vector<uint8_t>> has_minus;   // (F + 1, M): whether there is one a step back
};

}  // namespace crfrnn
