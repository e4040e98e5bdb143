// The plain C interface of the library, for ctypes and for tensorflow_ops.cpp. Every function returns 0 or writes a
// message and returns 1; no exception leaves it. Arrays are contiguous, row-major, float32 / int32 / int64.
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
  const char* text = "unknown error";
  try {
    body();
    return 0;
  } catch (const std::bad_alloc&) {
    text = "out of memory";
  } catch (const std::exception& error) {
    std::snprintf(message, message_size, "%s", error.what());
    return 1;
  } catch (...) {
  }
  std::snprintf(message, message_size, "%s", text);
  return 1;
}

}  // namespace

int crfrnn_build(const float* positions, int64_t batch, int64_t points, int64_t features, Allocator allocator,
                 char* message, int64_t message_size) {
  return guarded(message, message_size, [&] {
    if (features < 1 || features > kMaxFeatures)
      throw InvalidArgument("positions must have 1 to " + std::to_string(kMaxFeatures) + " features, received " +
                            std::to_string(features) + ". With more, use native=False.");
    // Vertex ids are 32-bit, and there may be as many vertices as corners.
    if (batch * points > (int64_t{1} << 31) / (features + 1) - 1)
      throw InvalidArgument("positions have too many points for 32-bit vertex ids: " + std::to_string(batch) + " x " +
                            std::to_string(points) + " with " + std::to_string(features) +
                            " features. Filter fewer images at a time, or tiles.");
    CRFRNN_DISPATCH(build(positions, batch, points, features, Outputs(allocator)));
  });
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
  return guarded(message, message_size,
                 [&] { CRFRNN_DISPATCH(softmax(logits, points, static_cast<int>(labels), out)); });
}

int crfrnn_mean_field_step(const PairwiseTerm* terms, int64_t count, const float* unaries, int64_t labels, const float* q,
                           float* out, char* message, int64_t message_size) {
  return guarded(message, message_size, [&] {
    ScratchLease scratch;
    CRFRNN_DISPATCH(mean_field_step(terms, static_cast<int>(count), unaries, static_cast<int>(labels), q, *scratch,
                                    out));
  });
}

int32_t crfrnn_max_threads() { return max_threads(); }

const char* crfrnn_instruction_set() { return has_avx2() ? "avx2" : "baseline"; }
