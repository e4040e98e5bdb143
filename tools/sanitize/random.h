// Random numbers that are the same everywhere, so that an input can be made again from its number alone.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>

namespace sanitize {

// G. L. Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014: splitmix64.
class Random {
 public:
  Random(uint64_t seed, uint64_t input) : state_(seed * 0x9E3779B97F4A7C15u ^ input * 0xD1B54A32D192ED03u) { next(); }

  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  int64_t between(int64_t low, int64_t high) {  // both included
    return low + static_cast<int64_t>(next() % static_cast<uint64_t>(high - low + 1));
  }
  float uniform(float low, float high) { return low + (high - low) * static_cast<float>(next() >> 40) * 0x1p-24f; }
  bool chance(int percent) { return between(0, 99) < percent; }

  // A number that breaks what was not made for it.
  float strange() {
    using Limits = std::numeric_limits<float>;
    const float some[] = {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity(), Limits::max(), Limits::lowest(),
                          Limits::min(),       Limits::denorm_min(), -0.0f,             1e7f,          -3e38f,
                          524288.0f,           uniform(-1e30f, 1e30f)};
    return some[next() % (sizeof(some) / sizeof(*some))];
  }

 private:
  uint64_t state_;
};

}  // namespace sanitize
