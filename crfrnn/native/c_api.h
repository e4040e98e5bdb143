// The plain C interface of the library, for ctypes and for tensorflow_ops.cpp. Functions return 0, or write a message and
// return a Failure; no exception leaves them, and none calls back. Arrays are contiguous, row-major, float32 / int32 /
// int64.
#pragma once

#include "lattice.h"
#include "neighbours.h"
#include "pairwise_term.h"

#if defined(_WIN32)
#define CRFRNN_API extern "C" __declspec(dllexport)
#else
#define CRFRNN_API extern "C" __attribute__((visibility("default")))
#endif

namespace crfrnn {
enum Failure { kInvalid = 1, kOutOfMemory = 2 };
}

// A lattice is built in two steps, so that whoever asks for it brings the memory. The first writes all but the chains,
// of positions (batch, points, features): vertex_ids and weights (batch * points, features + 1), chain_splits
// (features + 2), seen (kParts + 1), as in lattice.h. It leaves *neighbours to the caller, for the second step and then
// crfrnn_delete_neighbours; null when it fails.
CRFRNN_API int crfrnn_build(const float* positions, int64_t batch, int64_t points, int64_t features,
                            int32_t* vertex_ids, float* weights, int64_t* chain_splits, int64_t* seen,
                            crfrnn::Neighbours** neighbours, char* message, int64_t message_size);

// chains (chain_splits[features + 1]).
CRFRNN_API int crfrnn_write_chains(const crfrnn::Neighbours* neighbours, const int64_t* chain_splits, int32_t* chains,
                                   char* message, int64_t message_size);
CRFRNN_API void crfrnn_delete_neighbours(crfrnn::Neighbours* neighbours);

// Whether a lattice made elsewhere is safe to filter with; `chains` is the length of lattice->chains.
CRFRNN_API int crfrnn_check_lattice(const crfrnn::Lattice* lattice, int64_t chains, char* message,
                                    int64_t message_size);

// out = diag(scale_out) K diag(scale_in) values, or with K transposed. values, out (images, lattice->points, channels);
// scale_in, scale_out (lattice->points) or null.
CRFRNN_API int crfrnn_filter(const crfrnn::Lattice* lattice, const float* values, int64_t images, int64_t channels,
                             const float* scale_in, const float* scale_out, int32_t transposed, float* out,
                             char* message, int64_t message_size);

// out = softmax(logits) over the labels; both (points, labels), may be the same array.
CRFRNN_API int crfrnn_softmax(const float* logits, int64_t points, int64_t labels, float* out, char* message,
                              int64_t message_size);

// Iterations q <- softmax(unaries - sum_k mixing_k K_k q), at least one, the last q to out; unaries, q, out (points,
// labels). q is where to start, null for the softmax of the unaries; out may be q.
CRFRNN_API int crfrnn_mean_field(const crfrnn::PairwiseTerm* terms, int64_t count, const float* unaries, int64_t labels,
                                 int64_t iterations, const float* q, float* out, char* message, int64_t message_size);

// Whether sums of later calls from this thread are in the order of the points, whatever their number; returns what was.
CRFRNN_API int32_t crfrnn_set_in_order(int32_t value);

CRFRNN_API int32_t crfrnn_max_threads();
CRFRNN_API const char* crfrnn_instruction_set();
