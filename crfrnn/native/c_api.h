#pragma once

#include "lattice.h"
#include "outputs.h"
#include "pairwise_term.h"

#if defined(_WIN32)
#define CRFRNN_API extern "C" __declspec(dllexport)
#else
#define CRFRNN_API extern "C" __attribute__((visibility("default")))
#endif

// positions (batch, points, features) -> the arrays of `crfrnn::Output`, through the allocator.
CRFRNN_API int crfrnn_build(const float* positions, int64_t batch, int64_t points, int64_t features,
                            crfrnn::Allocator allocator, char* message, int64_t message_size);

// out = diag(scale_out) K diag(scale_in) values, or with K transposed. values, out (images, lattice->points, channels);
// scale_in, scale_out (lattice->points) or null.
CRFRNN_API int crfrnn_filter(const crfrnn::Lattice* lattice, const float* values, int64_t images, int64_t channels,
                             const float* scale_in, const float* scale_out, int32_t transposed, float* out,
                             char* message, int64_t message_size);

// out = softmax(logits) over the labels; both (points, labels), may be the same array.
CRFRNN_API int crfrnn_softmax(const float* logits, int64_t points, int64_t labels, float* out, char* message,
                              int64_t message_size);

// out = softmax(unaries - sum_k mixing_k K_k q); unaries, q, out (points, labels); out may be q.
CRFRNN_API int crfrnn_mean_field_step(const crfrnn::PairwiseTerm* terms, int64_t count, const float* unaries,
                                      int64_t labels, const float* q, float* out, char* message, int64_t message_size);

CRFRNN_API int32_t crfrnn_max_threads();
CRFRNN_API const char* crfrnn_instruction_set();
