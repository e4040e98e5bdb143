// What a fuzzed call is given: arrays of exactly their size, so that the first step beyond them is seen.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "c_api.h"
#include "random.h"

namespace sanitize {

using namespace crfrnn;

template <class T>
class Array {
 public:
  explicit Array(int64_t size) : size_(size), data_(new T[size]) {
    std::memset(static_cast<void*>(data_.get()), 0xA5, size * sizeof(T));  // what nobody writes stays conspicuous
  }
  T* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) const { return data_[i]; }
  T* begin() const { return data(); }
  T* end() const { return data() + size_; }

 private:
  int64_t size_;
  std::unique_ptr<T[]> data_;
};
using Floats = Array<float>;

struct Shape {
  int64_t batch, points, features;
};

// Mostly small, because small arrays have the most edges per second; some large enough for several threads.
#ifdef __SANITIZE_THREAD__
constexpr int kLarge = 20;  // of a thousand
#else
constexpr int kLarge = 5;
#endif

inline Shape random_shape(Random& random) {
  Shape shape{random.chance(80) ? 1 : random.between(0, 3), 0, 0};
  const int64_t kind = random.between(0, 999);
  if (kind >= kLarge) {
    shape.points = kind < 640 ? random.between(0, 30) : kind < 985 ? random.between(0, 120) : random.between(200, 2000);
    shape.features = random.chance(85) ? random.between(1, 6) : random.between(1, kMaxFeatures);
    // One lattice of 2000 points in 18 dimensions would take the time of a thousand others.
    if (shape.features > 6) shape.points = std::min<int64_t>(shape.points, 200);
  } else {
    shape.points = random.between(8192, 20000);
    shape.features = random.between(1, 4);
  }
  return shape;
}

// Positions of every kind: unequal scales, far away, all in one place, repeated, on the edges of cells, not numbers.
inline Floats random_positions(Random& random, const Shape& shape) {
  const int64_t points = shape.batch * shape.points, F = shape.features;
  Floats positions(points * F);
  float scale[kMaxFeatures], centre[kMaxFeatures];
  const float common = std::pow(10.0f, random.uniform(-3, 3));
  for (int64_t f = 0; f < F; ++f) {
    scale[f] = random.chance(70) ? common : std::pow(10.0f, random.uniform(-6, 7));
    centre[f] = random.chance(80) ? 0.0f : random.uniform(-1e5f, 1e5f);
  }
  const bool whole = random.chance(20), repeated = random.chance(20);
  for (int64_t n = 0; n < points; ++n)
    for (int64_t f = 0; f < F; ++f) {
      float x = centre[f] + scale[f] * random.uniform(-1, 1);
      if (whole) x = std::rint(x);
      positions[n * F + f] = repeated && n > 0 ? positions[random.between(0, n - 1) * F + f] : x;
    }
  if (random.chance(10) && positions.size())
    for (int64_t times = random.between(1, 3); times > 0; --times)
      positions[random.between(0, positions.size() - 1)] = random.strange();
  return positions;
}

// `ordinary` becomes false where one of them is strange.
inline Floats random_values(Random& random, int64_t size, float largest, bool& ordinary) {
  Floats values(size);
  for (float& value : values) value = random.uniform(-largest, largest);
  if (size > 0 && random.chance(10)) {
    values[random.between(0, size - 1)] = random.strange();
    ordinary = false;
  }
  return values;
}

inline int64_t random_channels(Random& random, const Shape& shape) {
  if (shape.points > 8000) return random.between(1, 8);
  return random.chance(90) ? random.between(1, 33) : random.between(33, 70);
}

}  // namespace sanitize
