#include "c_api.h"

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include <cstdio>

#include "dispatch.h"

namespace {

using namespace crfrnn;

#if !defined(_WIN32)
// A fork while another thread holds a lock would copy one that nobody opens in the child; so it waits for them.
[[maybe_unused]] const int fork_handlers = pthread_atfork(
    [] {
      helpers_turn().lock();
      ScratchLease::mutex().lock();
    },
    [] {
      ScratchLease::mutex().unlock();
      helpers_turn().unlock();
    },
    [] {
      ScratchLease::mutex().unlock();
      helpers_turn().unlock();
    });
#endif

template <class Body>
int guarded(char* message, int64_t message_size, Body body) {
  try {
    body();
    return 0;
  } catch (const std::bad_alloc&) {
    std::snprintf(message, message_size, "out of memory");
    return kOutOfMemory;
  } catch (const std::exception& error) {
    std::snprintf(message, message_size, "%s", error.what());
  } catch (...) {
    std::snprintf(message, message_size, "unknown error");
  }
  return kInvalid;
}

}  // namespace

int crfrnn_build(const float* positions, int64_t batch, int64_t points, int64_t features, int32_t* vertex_ids,
                 float* weights, int64_t* chain_splits, int64_t* seen, Neighbours** neighbours, char* message,
                 int64_t message_size) {
  *neighbours = nullptr;
  return guarded(message, message_size, [&] {
    if (features < 1 || features > kMaxFeatures)
      throw InvalidArgument("positions must have 1 to " + std::to_string(kMaxFeatures) + " features, received " +
                            std::to_string(features) + ". With more, use native=False.");
    if (batch < 0 || points < 0)
      throw InvalidArgument("positions must have sizes of zero or more, received " + std::to_string(batch) + " x " +
                            std::to_string(points));
    // Vertex ids are 32-bit, and there may be as many vertices as corners.
    const int64_t most = (int64_t{1} << 31) / (features + 1) - 1;
    if (points > 0 && batch > most / points)
      throw InvalidArgument("positions have too many points for 32-bit vertex ids: " + std::to_string(batch) + " x " +
                            std::to_string(points) + " with " + std::to_string(features) +
                            " features. Filter fewer images at a time, or tiles.");
    *neighbours =
        CRFRNN_DISPATCH(build(positions, batch, points, features, vertex_ids, weights, chain_splits, seen)).release();
  });
}

int crfrnn_write_chains(const Neighbours* neighbours, const int64_t* chain_splits, int32_t* chains, char* message,
                        int64_t message_size) {
  return guarded(message, message_size, [&] { CRFRNN_DISPATCH(write_chains(*neighbours, chain_splits, chains)); });
}

void crfrnn_delete_neighbours(Neighbours* neighbours) { delete neighbours; }

int crfrnn_check_lattice(const Lattice* lattice, int64_t chains, char* message, int64_t message_size) {
  return guarded(message, message_size, [&] { CRFRNN_DISPATCH(check_lattice(*lattice, chains)); });
}

int crfrnn_filter(const Lattice* lattice, const float* values, int64_t images, int64_t channels, const float* scale_in,
                  const float* scale_out, int32_t transposed, float* out, char* message, int64_t message_size) {
  return guarded(message, message_size, [&] {
    ScratchLease scratch;
    for (int64_t image = 0; image < images; ++image) {
      const int64_t offset = image * lattice->points * channels;
      CRFRNN_DISPATCH(filter(*lattice, values + offset, channels, scale_in, scale_out, transposed != 0, *scratch,
                             out + offset));
    }
  });
}

int crfrnn_softmax(const float* logits, int64_t points, int64_t labels, float* out, char* message,
                   int64_t message_size) {
  return guarded(message, message_size, [&] {
    ScratchLease scratch;
    CRFRNN_DISPATCH(softmax(logits, points, static_cast<int>(labels), *scratch, out));
  });
}

int crfrnn_mean_field(const PairwiseTerm* terms, int64_t count, const float* unaries, int64_t labels,
                      int64_t iterations, const float* q, float* out, char* message, int64_t message_size) {
  return guarded(message, message_size, [&] {
    ScratchLease scratch;
    CRFRNN_DISPATCH(mean_field(terms, static_cast<int>(count), unaries, static_cast<int>(labels),
                               static_cast<int>(iterations), q, *scratch, out));
  });
}

int32_t crfrnn_set_in_order(int32_t value) {
  const bool before = in_order();
  in_order() = value != 0;
  return before;
}

int32_t crfrnn_max_threads() { return max_threads(); }

const char* crfrnn_instruction_set() { return has_avx2() ? "avx2" : "baseline"; }
