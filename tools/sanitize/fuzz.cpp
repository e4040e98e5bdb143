// Random calls of the C interface, valid and invalid, for a build with sanitizers.
//
//   fuzz SEED FIRST COUNT SECONDS CALLERS
//
// Makes inputs FIRST .. FIRST + COUNT - 1 of a seed, on CALLERS threads at once, and stops after so many seconds; prints
// how many calls there were, how many of them were refused, and two sums of all bits that came out: of the lattices, which
// no number of threads may change, and of the results, which no instruction set may change. What the sanitizers do not
// see is expected here: results of finite inputs are finite, weights sum to one, an error has a message. Whatever fails
// ends the process and names the input, which alone is `fuzz SEED INPUT 1 0 1`.
#include <sanitizer/common_interface_defs.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "inputs.h"

namespace sanitize {
namespace {

thread_local long long current = -1;
std::atomic<uint64_t> calls{0}, refused{0}, lattice_bits{0}, result_bits{0};

void name_input() { std::fprintf(stderr, "fuzz: the input was %lld\n", current); }

void expect(bool true_, const char* what) {
  if (true_) return;
  std::fprintf(stderr, "fuzz: expected %s\n", what);
  name_input();
  std::abort();
}

uint64_t mixed(uint64_t sum, uint64_t value) { return (sum ^ value) * 0x9E3779B97F4A7C15u + (sum >> 29); }

template <class T>
uint64_t bits_of(const Array<T>& array) {
  uint64_t sum = static_cast<uint64_t>(array.size());
  for (T value : array) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    sum = mixed(sum, value == value ? bits : 0x7FC00000u);  // all NaN are alike
  }
  return sum;
}

// A call that ends with a message of any size.
template <class Call>
bool succeeds(Random& random, Call call) {
  Array<char> message(random.chance(50) ? 1024 : random.between(1, 80));
  const int failure = call(message.data(), message.size());
  ++calls;
  if (failure == 0) return true;
  ++refused;
  expect(failure == kInvalid || failure == kOutOfMemory, "a known kind of failure");
  expect(std::memchr(message.data(), 0, message.size()), "a message that ends");
  expect(message.size() == 1 || message[0], "a message");
  return false;
}

// A lattice and the arrays it points to.
struct Built {
  Shape shape;
  Array<int32_t> vertex_ids;
  Floats weights;
  Array<int64_t> chain_splits{kMaxFeatures + 3}, seen{kParts + 1};
  Array<int32_t> chains{0};
  bool valid = false;

  explicit Built(const Shape& shape)
      : shape(shape),
        vertex_ids(shape.batch * shape.points * (shape.features + 1)),
        weights(vertex_ids.size()),
        chain_splits(shape.features + 2) {}
  int64_t points() const { return shape.batch * shape.points; }
  Lattice lattice() const {
    return {points(),      shape.features,      vertex_ids.data(), weights.data(),
            chains.data(), chain_splits.data(), seen.data()};
  }
};

void check(Random& random, const Built& built) {
  const int64_t corners = built.shape.features + 1;
  for (int64_t n = 0; n < built.points(); ++n) {
    double sum = 0;
    for (int64_t k = 0; k < corners; ++k) {
      const float weight = built.weights[n * corners + k];
      expect(weight >= -0.1f && weight <= 1.1f, "barycentric weights");  // beyond by rounding, far from the origin
      sum += weight;
    }
    expect(std::fabs(sum - 1) < 1e-5, "weights that sum to one");
  }
  const Lattice lattice = built.lattice();
  expect(succeeds(random, [&](char* message, int64_t size) {
           return crfrnn_check_lattice(&lattice, built.chains.size(), message, size);
         }), "its own lattice to be accepted");
  lattice_bits += bits_of(built.vertex_ids) + bits_of(built.weights) + bits_of(built.chains);
}

Built build(Random& random, const Shape& shape) {
  Built built(shape);
  const Floats positions = random_positions(random, shape);
  Neighbours* neighbours = nullptr;
  built.valid = succeeds(random, [&](char* message, int64_t size) {
    return crfrnn_build(positions.data(), shape.batch, shape.points, shape.features, built.vertex_ids.data(),
                        built.weights.data(), built.chain_splits.data(), built.seen.data(), &neighbours, message, size);
  });
  expect(built.valid == (neighbours != nullptr), "neighbours exactly where there is a lattice");
  if (built.valid) {
    built.chains = Array<int32_t>(built.chain_splits[shape.features + 1]);
    expect(succeeds(random, [&](char* message, int64_t size) {
             return crfrnn_write_chains(neighbours, built.chain_splits.data(), built.chains.data(), message, size);
           }), "chains");
    check(random, built);
  }
  crfrnn_delete_neighbours(neighbours);
  return built;
}

// Sizes that no array can have are refused before anything is read.
void build_impossible(Random& random) {
  const int64_t sizes[] = {-1, 0, 1, 33, int64_t{1} << 20, int64_t{1} << 40, INT64_MAX, INT64_MIN};
  const auto any = [&] { return sizes[random.between(0, 7)]; };
  const int64_t batch = any(), points = any(), features = any();
  const bool possible = batch >= 0 && points >= 0 && static_cast<__int128>(batch) * points < int64_t{1} << 31;
  if (possible && features >= 1 && features <= kMaxFeatures) return;
  int64_t counts[kMaxFeatures + kParts + 3];
  Neighbours* neighbours = nullptr;
  expect(!succeeds(random, [&](char* message, int64_t size) {
    return crfrnn_build(nullptr, batch, points, features, nullptr, nullptr, counts, counts + kMaxFeatures + 2, &neighbours,
                        message, size);
  }), "sizes to be refused");
}

Floats random_scale(Random& random, int64_t size, bool& ordinary) { return random_values(random, size, 2, ordinary); }

void filter(Random& random, const Built& built) {
  const Lattice lattice = built.lattice();
  const int64_t images = built.shape.batch == 1 ? random.between(1, 3) : 1;
  const int64_t channels = random_channels(random, built.shape), size = images * lattice.points * channels;
  bool ordinary = true;
  const Floats values = random_values(random, size, 100, ordinary);
  const Floats scale_in = random_scale(random, lattice.points, ordinary);
  const Floats scale_out = random_scale(random, lattice.points, ordinary);
  const Floats out(size);
  const bool in = random.chance(50), after = random.chance(50), transposed = random.chance(30);
  expect(succeeds(random, [&](char* message, int64_t length) {
           return crfrnn_filter(&lattice, values.data(), images, channels, in ? scale_in.data() : nullptr,
                                after ? scale_out.data() : nullptr, transposed, out.data(), message, length);
         }), "values to be filtered");
  for (float value : out) expect(!ordinary || std::isfinite(value), "finite results of finite values");
  result_bits += bits_of(out);
}

void expect_probabilities(const Floats& q, int64_t labels) {
  for (int64_t n = 0; n < q.size() / labels; ++n) {
    double sum = 0;
    for (int64_t l = 0; l < labels; ++l) sum += q[n * labels + l];
    expect(std::fabs(sum - 1) < 1e-5, "probabilities that sum to one");
  }
}

void mean_field(Random& random, const Built& built) {
  const int64_t points = built.points(), labels = random_channels(random, built.shape), count = random.between(1, 3);
  bool ordinary = true;
  const Floats unaries = random_values(random, points * labels, random.chance(50) ? 5 : 1000, ordinary), q(unaries.size());
  expect(succeeds(random, [&](char* message, int64_t size) {
           return crfrnn_softmax(unaries.data(), points, labels, q.data(), message, size);
         }), "the softmax");
  if (ordinary) expect_probabilities(q, labels);
  result_bits += bits_of(q);

  std::vector<Built> others;  // of the same points, with other features
  while (static_cast<int64_t>(others.size()) < count - 1) {
    others.push_back(build(random, {built.shape.batch, built.shape.points, random.between(1, 4)}));
    if (!others.back().valid) return;
  }
  std::vector<Floats> arrays;
  std::vector<PairwiseTerm> terms;
  for (int64_t k = 0; k < count; ++k) {
    const bool diagonal = random.chance(50);
    arrays.push_back(random_scale(random, points, ordinary));
    arrays.push_back(random_scale(random, points, ordinary));
    arrays.push_back(random_values(random, diagonal ? labels : labels * labels, 3, ordinary));
    const float *in = arrays.end()[-3].data(), *out = arrays.end()[-2].data(), *mixing = arrays.end()[-1].data();
    terms.push_back({k ? others[k - 1].lattice() : built.lattice(), random.chance(70) ? in : nullptr,
                     random.chance(70) ? out : nullptr, mixing, diagonal});
  }
  const Floats apart(q.size());
  const Floats& out = random.chance(50) ? q : apart;
  const float* const start = random.chance(50) ? q.data() : nullptr;
  const int64_t iterations = random.between(1, 3);
  expect(succeeds(random, [&](char* message, int64_t size) {
           return crfrnn_mean_field(terms.data(), count, unaries.data(), labels, iterations, start, out.data(), message,
                                    size);
         }), "iterations");
  if (ordinary) expect_probabilities(out, labels);
  result_bits += bits_of(out);
}

// A lattice of a foreign file: whatever is accepted can be filtered with.
void damage(Random& random, Built& built) {
  const auto some = [&](auto& array) {
    if (array.size() == 0) return;
    auto& value = array[random.between(0, array.size() - 1)];
    const int64_t was = value;
    const int64_t to[] = {was ^ 1, was ^ 256, ~was, -1, 0, built.seen[kParts], INT32_MAX, INT32_MIN,
                          random.between(-1000, 1000)};
    value = static_cast<std::decay_t<decltype(value)>>(to[random.between(0, 8)]);
  };
  for (int64_t times = random.between(1, 3); times > 0; --times) {
    const int64_t kind = random.between(0, 4);
    if (kind == 0) some(built.vertex_ids);
    if (kind == 1) some(built.chains);
    if (kind == 2) some(built.chain_splits);
    if (kind == 3) some(built.seen);
    if (kind == 4 && built.weights.size()) built.weights[random.between(0, built.weights.size() - 1)] = random.strange();
  }
  const Lattice lattice = built.lattice();
  const bool accepted = succeeds(random, [&](char* message, int64_t size) {
    return crfrnn_check_lattice(&lattice, built.chains.size(), message, size);
  });
#ifndef __SANITIZE_THREAD__  // chains that meet make threads meet: wrong values, no more, but a race
  if (!accepted) return;
  const int64_t channels = random_channels(random, built.shape);
  bool ordinary = true;
  const Floats values = random_values(random, lattice.points * channels, 1, ordinary), out(values.size());
  succeeds(random, [&](char* message, int64_t size) {
    return crfrnn_filter(&lattice, values.data(), 1, channels, nullptr, nullptr, 0, out.data(), message, size);
  });
#else
  (void)accepted;
#endif
}

void one(uint64_t seed, uint64_t input) {
  Random random(seed, input);
  if (random.chance(2)) build_impossible(random);
  Built built = build(random, random_shape(random));
  if (!built.valid) return;
  if (random.chance(80)) filter(random, built);
  if (random.chance(50)) mean_field(random, built);
  if (random.chance(20)) damage(random, built);
}

}  // namespace
}  // namespace sanitize

int main(int count, char** arguments) {
  using namespace sanitize;
  if (count != 6) {
    std::fprintf(stderr, "usage: fuzz SEED FIRST COUNT SECONDS CALLERS\n");
    return 2;
  }
  const auto number = [&](int i) { return std::strtoull(arguments[i], nullptr, 10); };
  const uint64_t seed = number(1), first = number(2), inputs = number(3), seconds = number(4), callers = number(5);
  __sanitizer_set_death_callback(name_input);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  std::atomic<uint64_t> taken{0}, made{0};
  const auto work = [&] {
    while (!seconds || std::chrono::steady_clock::now() < end) {
      const uint64_t input = taken++;
      if (input >= inputs) return;
      current = static_cast<long long>(first + input);
      one(seed, first + input);
      ++made;
    }
  };
  std::vector<std::thread> threads;
  for (uint64_t i = 1; i < callers; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  std::printf("%llu inputs, %llu calls, %llu refused, lattices %016llx, results %016llx\n",
              static_cast<unsigned long long>(made), static_cast<unsigned long long>(calls),
              static_cast<unsigned long long>(refused), static_cast<unsigned long long>(lattice_bits),
              static_cast<unsigned long long>(result_bits));
  return 0;
}
