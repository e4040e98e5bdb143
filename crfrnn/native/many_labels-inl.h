// Mean-field iterations of five labels or more: lattice rows of at most kMaxChannels labels at a time, and the softmax over
// all of them. Where there is room, an iteration is one pass over the points.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_MANY_LABELS_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_MANY_LABELS_INL_H
#undef CRFRNN_MANY_LABELS_INL_H
#else
#define CRFRNN_MANY_LABELS_INL_H
#endif

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "blur-inl.h"
#include "instruction_set-inl.h"
#include "memory.h"
#include "pairwise_term.h"
#include "row-inl.h"
#include "slice-inl.h"
#include "softmax-inl.h"
#include "splat-inl.h"
#include "threads.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

// Calls body(P as a constant, first label, number of labels <= P) for every part of the labels.
template <class Body>
void for_label_parts(int labels, Body body) {
  for (int first = 0; first < labels; first += kMaxChannels) {
    const int some = std::min(kMaxChannels, labels - first);
    with_row(some, [&](auto row) { body(row, first, some); });
  }
}

// The lattice rows of every term, a part of the labels at a time: those of part p of term k at [k * parts + p].
struct Vertices {
  int parts;
  std::vector<float*> rows;
  float* const* of(int term) const { return &rows[term * parts]; }
};

inline Vertices take_vertices(const PairwiseTerm* terms, int count, int labels, Scratch& scratch) {
  Vertices vertices{(labels + kMaxChannels - 1) / kMaxChannels, {}};
  for (int k = 0; k < count; ++k)
    for_label_parts(labels, [&](auto row, int, int) {
      vertices.rows.push_back(scratch.take(terms[k].lattice.vertices() * decltype(row)::value));
    });
  return vertices;
}

// x -= A_k message, of a block of points in rows of `width` floats. messages: room for another such block.
inline void subtract_messages(const PairwiseTerm& term, float* const* vertices, int labels, int64_t begin, int rows,
                              float* x, float* messages, int width) {
  const float factor = slice_factor(term.lattice.features);
  const float* const scale_out = term.scale_out;
  for_label_parts(labels, [&](auto row, int first, int some) {
    constexpr int P = decltype(row)::value;
    const float* const part = vertices[first / kMaxChannels];
    const Range range{begin, begin + rows};
    if (term.diagonal) {
      const Row<P> mixing = load_channels<P>(term.mixing + first, some, term.mixing + labels);
      float* const to = x + first;
      slice_points<P>(term.lattice, part, range, [=, &mixing](int64_t n, const Row<P>& sliced) CRFRNN_ALWAYS_INLINE {
        const Row<P> message = sliced * (scale_out ? factor * scale_out[n] : factor);
        float* const point = to + (n - begin) * width;
        (Row<P>::load(point) - mixing * message).store(point);
      });
    } else {
      float* const to = messages + first;
      slice_points<P>(term.lattice, part, range, [=](int64_t n, const Row<P>& sliced) CRFRNN_ALWAYS_INLINE {
        (sliced * (scale_out ? factor * scale_out[n] : factor)).store(to + (n - begin) * width);
      });
    }
  });
  if (term.diagonal) return;
  for (int n = 0; n < rows; ++n)
    for (int l = 0; l < labels; ++l) {
      const float* const mixing = term.mixing + int64_t{l} * labels;
      float sum = 0;
      for (int m = 0; m < labels; ++m) sum += mixing[m] * messages[n * width + m];
      x[n * width + l] -= sum;
    }
}

// A block of points on its way through an iteration: its logits, and behind them room for messages.
class LongRows {
 public:
  LongRows(int64_t points, int labels, Scratch& scratch)
      : labels_(labels), width_(long_row(labels)), x_(scratch.take(int64_t{threads_for(points)} * 2 * kRows * width_)) {}

  int width() const { return width_; }
  float* of(int thread) const { return x_ + int64_t{thread} * 2 * kRows * width_; }

  // unaries - sum_k A_k message.
  float* logits(int thread, const PairwiseTerm* terms, int count, const Vertices* vertices, const float* unaries,
                int64_t begin, int rows) const {
    float* const x = of(thread);
    load_logits(unaries + begin * labels_, rows, labels_, x, width_);
    for (int k = 0; vertices && k < count; ++k)
      subtract_messages(terms[k], vertices->of(k), labels_, begin, rows, x, x + kRows * width_, width_);
    return x;
  }

 private:
  int labels_, width_;
  float* x_;
};

inline void splat_q(const PairwiseTerm* terms, int count, const float* q, int labels, Scratch& scratch,
                    const Vertices& vertices) {
  for (int k = 0; k < count; ++k)
    for_label_parts(labels, [&](auto row, int first, int some) {
      Scratch::Mark buffers(scratch);
      const Lattice& lattice = terms[k].lattice;
      splat<decltype(row)::value>(lattice, q + first, labels, some, q + lattice.points * labels, terms[k].scale_in,
                                  Order::kAscending, scratch, vertices.of(k)[first / kMaxChannels]);
    });
}

inline void blur_all(const PairwiseTerm* terms, int count, int labels, const Vertices& vertices) {
  for (int k = 0; k < count; ++k)
    for_label_parts(labels, [&](auto row, int first, int) {
      blur<decltype(row)::value>(terms[k].lattice, false, vertices.of(k)[first / kMaxChannels]);
    });
}

// From the rows of one iteration to those of the next in one pass over the points: q is splatted before it leaves the
// cache, and stands nowhere else. now: null before the first iteration, where q is the softmax of the unaries.
inline void splat_next(const PairwiseTerm* terms, int count, const float* unaries, int labels, Scratch& scratch,
                       const Vertices* now, const Vertices& next) {
  Scratch::Mark mark(scratch);
  const int64_t N = terms[0].lattice.points;
  const int threads = threads_for(N);
  std::vector<Sums> sums;
  for (int k = 0; k < count; ++k)
    for_label_parts(labels, [&](auto row, int first, int) {
      constexpr int P = decltype(row)::value;
      sums.emplace_back(terms[k].lattice, P, next.of(k)[first / kMaxChannels], threads, scratch);
    });
  const LongRows blocks(N, labels, scratch);
  const int width = blocks.width();
  parallel(threads, [&](int thread) {
    for (const Sums& sum : sums) sum.clear(thread);
    const Range range = sums[0].points(thread);
    for (int64_t begin = range.begin; begin < range.end; begin += kRows) {
      const int rows = static_cast<int>(std::min<int64_t>(kRows, range.end - begin));
      float* const q = blocks.logits(thread, terms, count, now, unaries, begin, rows);
      softmax_rows<8>(q, width, rows, width, q);
      for (int k = 0; k < count; ++k)
        for_label_parts(labels, [&](auto row, int first, int some) {
          constexpr int P = decltype(row)::value;
          const Sums& sum = sums[k * next.parts + first / kMaxChannels];
          with_corners(terms[k].lattice.features, [&](auto corners) {
            splat_points<P, corners>(terms[k].lattice, Range{begin, begin + rows}, q + first, width, some,
                                     q + rows * width, terms[k].scale_in, sum.rows(thread), Order::kAscending);
          });
        });
    }
  });
  for (const Sums& sum : sums) sum.add_up();
}

// A second set of lattice rows must be no larger than the q that it saves, and no lattice may hold back threads.
inline bool worth_two(const PairwiseTerm* terms, int count) {
  const int64_t N = terms[0].lattice.points;
  int64_t vertices = 0;
  for (int k = 0; k < count; ++k) {
    if (splat_threads(terms[k].lattice) < threads_for(N)) return false;
    vertices += terms[k].lattice.vertices();
  }
  return vertices <= N;
}

inline void mean_field_many(const PairwiseTerm* terms, int count, const float* unaries, int labels, int iterations,
                            const float* q, Scratch& scratch, float* out) {
  Scratch::Mark mark(scratch);
  const int64_t N = terms[0].lattice.points;
  const bool two = (iterations > 1 || !q) && worth_two(terms, count);
  Vertices now = take_vertices(terms, count, labels, scratch);
  Vertices next = two ? take_vertices(terms, count, labels, scratch) : now;
  const LongRows blocks(N, labels, scratch);
  if (!q && !two) {
    softmax(unaries, N, labels, scratch, out);
    q = out;
  }
  for (int i = 0; i < iterations; ++i) {
    if (two && (i > 0 || !q)) {
      splat_next(terms, count, unaries, labels, scratch, i > 0 ? &now : nullptr, next);
      std::swap(now, next);
    } else {
      splat_q(terms, count, i > 0 ? out : q, labels, scratch, now);
    }
    blur_all(terms, count, labels, now);
    if (two && i + 1 < iterations) continue;
    for_blocks(N, [&](int thread, int64_t begin, int rows) {
      float* const x = blocks.logits(thread, terms, count, &now, unaries, begin, rows);
      softmax_rows<8>(x, blocks.width(), rows, labels, out + begin * labels);
    });
  }
}

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
