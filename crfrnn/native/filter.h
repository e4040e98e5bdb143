// Filtering with a lattice: splat, blur, slice. K values = alpha * slice(blur(splat(values))).
// Included once per instruction set, inside a namespace of that name (dispatch.h); hence no #pragma once.
//
// P is the number of channels of a lattice row in memory: C rounded up, so that a row is whole vectors and the loops over
// channels have a constant length. Values keep their own row length, `stride`.

// Adams et al. leave the blur (1/2, 1, 1/2) un-normalised; this factor brings the filter near the sum of the Gaussians
// (DenseCRF code; exact only when normalised by K 1, hence the normalisations).
inline float slice_factor(int64_t features) { return 1.0f / (1.0f + std::pow(2.0f, -static_cast<float>(features))); }

// Calls body(F + 1 as a constant) for the usual numbers of features, else body(0): loops over the corners of a simplex are
// so short that their bookkeeping costs as much as they do.
template <class Body>
void with_corners(int64_t features, Body body) {
  if (features == 2) return body(std::integral_constant<int, 3>());
  if (features == 3) return body(std::integral_constant<int, 4>());
  if (features == 4) return body(std::integral_constant<int, 5>());
  if (features == 5) return body(std::integral_constant<int, 6>());
  body(std::integral_constant<int, 0>());
}

// Rows that stay in the cache by themselves are not worth asking for.
inline bool worth_prefetching(int64_t rows, int row_length) { return rows * row_length > kCachedFloats; }

// Adds the points of a range to the rows of their corners, those below own_end in `own`. Corners is F + 1, or 0.
template <int P, int Corners>
void splat_points(const Lattice& lattice, Range range, const float* values, int stride, int channels, const float* end,
                  const float* scale, float* own, int64_t own_end, float* vertices) {
  const int F1 = Corners ? Corners : static_cast<int>(lattice.features) + 1;
  const int32_t* const all_ids = lattice.vertex_ids;
  const float* const all_weights = lattice.weights;
  const bool prefetch = worth_prefetching(lattice.vertices(), P);
  auto row_of = [=](int32_t v) { return (v < own_end ? own : vertices) + static_cast<int64_t>(v) * P; };
  auto add_point = [=](int64_t n) {
    const int32_t* ids = all_ids + n * F1;
    const float* weights = all_weights + n * F1;
    Row<P> row = load_channels<P>(values + n * stride, channels, end);
    if (scale) row = row * scale[n];
    for (int k = 0; k < F1; ++k) {
      float* vertex = row_of(ids[k]);
      (Row<P>::load(vertex) + row * weights[k]).store(vertex);
    }
  };
  // Neighbouring points share corners, and each sum waits for the one before: points far apart, taken in turns, do not.
  // Among many vertices that happens less often than points far apart miss the cache. (Not a matter of P: the order of
  // the sums, and so their rounding, is the same for any number of channels.)
  const int streams = lattice.vertices() < kManyVertices ? 4 : 1;
  const int64_t length = (range.end - range.begin) / streams, end_of_turns = range.begin + streams * length;
  for (int64_t i = range.begin; i < range.begin + length; ++i)
    for (int64_t n = i; n < end_of_turns; n += length) {
      if (prefetch && n + kPrefetch < range.end)
        for (int k = 0; k < F1; ++k) prefetch_row<P>(row_of(all_ids[(n + kPrefetch) * F1 + k]));
      add_point(n);
    }
  for (int64_t n = end_of_turns; n < range.end; ++n) add_point(n);
}

// vertices = transposed barycentric interpolation of the values. Every thread takes some parts of the points, in order.
// Vertices are numbered in the order of the points, so those below seen[first part] are shared with earlier threads, which
// a thread adds up in a buffer of its own; the others no earlier thread meets, and later ones leave alone.
template <int P>
void splat(const Lattice& lattice, const float* values, int stride, int channels, const float* end, const float* scale,
           Scratch& scratch, float* vertices) {
  const int64_t N = lattice.points, M = lattice.vertices();
  // The buffers of the threads may together hold no more than twice the values.
  const int threads = static_cast<int>(std::min<int64_t>(threads_for(N), 1 + 2 * N / std::max<int64_t>(M, 1)));
  auto shared = [&](int thread) { return lattice.seen[part(kParts, thread, threads).begin]; };
  std::vector<float*> buffers(threads, vertices);
  for (int t = 1; t < threads; ++t) buffers[t] = scratch.take(shared(t) * P);

  parallel(threads, [&](int thread) {
    const Range parts = part(kParts, thread, threads), range = points_in(parts, N);
    float* const own = buffers[thread];
    const int64_t own_end = lattice.seen[parts.begin];
    std::fill(vertices + own_end * P, vertices + lattice.seen[parts.end] * P, 0.0f);
    std::fill(own, own + own_end * P, 0.0f);
    with_corners(lattice.features, [&](auto corners) {
      splat_points<P, corners>(lattice, range, values, stride, channels, end, scale, own, own_end, vertices);
    });
  });

  const int64_t rows = shared(threads - 1);
  const int adders = std::min(threads, threads_for(rows * P, kFloatsPerThread));
  parallel(adders, [&](int thread) {
    const Range range = part(rows, thread, adders);
    for (int t = 1; t < threads; ++t) {
      const int64_t end = std::min(range.end, shared(t));
      for (int64_t i = range.begin * P; i < end * P; ++i) vertices[i] += buffers[t][i];
    }
  });
}

// One axis: v <- v + (v- + v+) / 2, in place along the chains. Vertices without a neighbour stay as they are.
// Threads cut the chains anywhere; the old values on both sides of every cut are saved first.
template <int P>
void blur_axis(const int32_t* chain, int64_t length, float* vertices) {
  const int threads = threads_for(length * P, kFloatsPerThread);
  std::vector<float> borders(2 * threads * P);  // of the vertex before the part of thread t, and of the part's first
  for (int t = 1; t < threads; ++t)
    for (int side = 0; side < 2; ++side) {
      const int32_t v = chain[part(length, t, threads).begin - 1 + side];
      std::copy_n(vertices + static_cast<int64_t>(v < 0 ? ~v : v) * P, P, &borders[(2 * t + side) * P]);
    }
  parallel(threads, [&](int thread) {
    const Range range = part(length, thread, threads);
    if (range.begin == range.end) return;
    auto vertex = [&](int32_t link) { return vertices + static_cast<int64_t>(link < 0 ? ~link : link) * P; };
    Row<P> before = thread > 0 ? Row<P>::load(&borders[2 * thread * P]) : Row<P>::zero();
    Row<P> here = Row<P>::load(vertex(chain[range.begin]));
    for (int64_t i = range.begin; i < range.end; ++i) {
      if (i + kPrefetchChain < range.end) prefetch_row<P>(vertex(chain[i + kPrefetchChain]));
      if (chain[i] < 0) before = Row<P>::zero();
      Row<P> after = Row<P>::zero();
      if (i + 1 < range.end) {
        after = Row<P>::load(vertex(chain[i + 1]));
      } else if (i + 1 < length) {
        after = Row<P>::load(&borders[(2 * thread + 3) * P]);
      }
      const float linked = i + 1 < length && chain[i + 1] >= 0 ? 0.5f : 0.0f;
      (here + before * 0.5f + after * linked).store(vertex(chain[i]));
      before = here;
      here = after;
    }
  });
}

// The transposed filter blurs the axes in reverse order: on a truncated lattice the blurs do not commute.
template <int P>
void blur(const Lattice& lattice, bool transposed, float* vertices) {
  const int64_t F = lattice.features;
  for (int64_t step = 0; step <= F; ++step) {
    const int64_t j = transposed ? F - step : step;
    const int64_t begin = lattice.chain_splits[j];
    blur_axis<P>(lattice.chains + begin, lattice.chain_splits[j + 1] - begin, vertices);
  }
}

// Calls body(n, interpolated row) for every point n of the range.
template <int P, class Body>
void slice_points(const Lattice& lattice, const float* vertices, Range range, Body body) {
  with_corners(lattice.features, [=](auto corners) {
    const int F1 = corners ? corners : static_cast<int>(lattice.features) + 1;
    const bool prefetch = worth_prefetching(lattice.vertices(), P);
    const int32_t* const all_ids = lattice.vertex_ids;
    const float* const all_weights = lattice.weights;
    const int64_t N = lattice.points;
    for (int64_t n = range.begin; n < range.end; ++n) {
      const int32_t* ids = all_ids + n * F1;
      const float* weights = all_weights + n * F1;
      if (prefetch && n + kPrefetch < N)
        for (int k = 0; k < F1; ++k) prefetch_row<P>(vertices + static_cast<int64_t>(ids[kPrefetch * F1 + k]) * P);
      Row<P> row = Row<P>::zero();
      for (int k = 0; k < F1; ++k) row = row + Row<P>::load(vertices + static_cast<int64_t>(ids[k]) * P) * weights[k];
      body(n, row);
    }
  });
}

template <int P>
void slice(const Lattice& lattice, const float* vertices, int channels, int stride, const float* scale, float* out) {
  const int64_t N = lattice.points;
  const float factor = slice_factor(lattice.features);
  const int threads = threads_for(N);
  parallel(threads, [&](int thread) {
    slice_points<P>(lattice, vertices, part(N, thread, threads), [=](int64_t n, const Row<P>& sliced) {
      alignas(32) float row[P];
      (sliced * (scale ? factor * scale[n] : factor)).store(row);
      for (int c = 0; c < channels; ++c) out[n * stride + c] = row[c];
    });
  });
}

template <int P>
void filter_channels(const Lattice& lattice, const float* values, int stride, int channels, const float* end,
                     const float* scale_in, const float* scale_out, bool transposed, Scratch& scratch, float* out) {
  Scratch::Mark mark(scratch);
  float* vertices = scratch.take(lattice.vertices() * P);
  splat<P>(lattice, values, stride, channels, end, scale_in, scratch, vertices);
  blur<P>(lattice, transposed, vertices);
  slice<P>(lattice, vertices, channels, stride, scale_out, out);
}

// Calls body(P as a constant) for the smallest supported row that holds `channels` <= kMaxChannels.
template <class Body>
void with_row(int channels, Body body) {
  if (channels <= 1) return body(std::integral_constant<int, 1>());
  if (channels <= 2) return body(std::integral_constant<int, 2>());
  if (channels <= 4) return body(std::integral_constant<int, 4>());
  if (channels <= 8) return body(std::integral_constant<int, 8>());
  if (channels <= 16) return body(std::integral_constant<int, 16>());
  if (channels <= 24) return body(std::integral_constant<int, 24>());
  body(std::integral_constant<int, kMaxChannels>());
}

inline void filter(const Lattice& lattice, const float* values, int64_t channels, const float* scale_in,
                   const float* scale_out, bool transposed, Scratch& scratch, float* out) {
  for (int64_t first = 0; first < channels; first += kMaxChannels) {
    const int some = static_cast<int>(std::min<int64_t>(kMaxChannels, channels - first));
    with_row(some, [&](auto row) {
      filter_channels<decltype(row)::value>(lattice, values + first, static_cast<int>(channels), some,
                                            values + lattice.points * channels, scale_in, scale_out, transposed,
                                            scratch, out + first);
    });
  }
}
