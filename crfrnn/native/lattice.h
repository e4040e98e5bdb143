// The permutohedral lattice as plain arrays, and the two operations on it. No framework, no Python.
//
//   build()   positions (B, N, F)                    -> lattice                       [build-inl.h]
//   filter()  lattice, values (B, N, C)              -> diag(out) K diag(in) values   [filter-inl.h]
//
// Source: A. Adams, J. Baek, M. A. Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice",
// Eurographics 2010. Origin, axis order and scale are those of P. Kraehenbuehl's DenseCRF code, which CRF-as-RNN and
// pydensecrf share, so that results agree with theirs to rounding.
#pragma once

#include <cstdint>

#include "threads.h"

namespace crfrnn {

constexpr int kMaxFeatures = 32;
// Largest |elevated coordinate| / (F + 1), of all F + 1 of them. Beyond it float32 positions no longer resolve a tenth of a
// lattice cell.
constexpr int64_t kKeyRange = int64_t{1} << 19;

// What build() makes and filter() reads. A batch is one lattice: the vertices of different images never meet.
struct Lattice {
  int64_t points;               // B * N
  int64_t features;             // F
  const int32_t* vertex_ids;    // (B * N, F + 1): the corners of the simplex around each point
  const float* weights;         // (B * N, F + 1): barycentric weights of the corners, sum 1
  const int32_t* chains;        // vertices that have a neighbour, axis after axis, each axis in runs of consecutive
                                // neighbours; the first vertex v of a run is stored as ~v (negative)
  const int64_t* chain_splits;  // (F + 2): the chains of axis j are chains[chain_splits[j] : chain_splits[j + 1]]
  const int64_t* seen;          // (kParts + 1): the first p parts of the points have corners below seen[p] only

  int64_t vertices() const { return seen[kParts]; }  // M
};

}  // namespace crfrnn
