// A hash table from keys to vertex ids. Open addressing with linear probing; numbers keys in order of first appearance.
// Compiled once per instruction set; what the first lines and the macros do, see instruction_set-inl.h.
#if defined(CRFRNN_VERTEX_TABLE_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_VERTEX_TABLE_INL_H
#undef CRFRNN_VERTEX_TABLE_INL_H
#else
#define CRFRNN_VERTEX_TABLE_INL_H
#endif

#include <cstddef>
#include <cstdint>

#include "instruction_set-inl.h"
#include "keys-inl.h"
#include "memory.h"
#include "prefetch.h"

CRFRNN_BEGIN_TARGET
namespace crfrnn::CRFRNN_TARGET {

template <int W>
class VertexTable {
 public:
  LargeVector<Key<W>> keys;  // by vertex id

  VertexTable() { resize(12); }
  void prefetch(uint64_t hash) const { CRFRNN_PREFETCH(&slots_[hash >> shift_]); }

  int32_t insert(const Key<W>& key, uint64_t hash) {
    uint64_t i = hash >> shift_;
    while (slots_[i].id >= 0) {
      if (slots_[i].key == key) return slots_[i].id;
      i = (i + 1) & mask_;
    }
    const int32_t id = static_cast<int32_t>(keys.size());
    slots_[i] = {key, id};
    keys.push_back(key);
    if (2 * keys.size() > slots_.size()) resize(bits_ + (bits_ < 20 ? 2 : 1));
    return id;
  }

  int32_t find(const Key<W>& key, uint64_t hash) const {
    uint64_t i = hash >> shift_;
    while (slots_[i].id >= 0) {
      if (slots_[i].key == key) return slots_[i].id;
      i = (i + 1) & mask_;
    }
    return -1;
  }

 private:
  struct Slot {
    Key<W> key;
    int32_t id;
  };
  LargeVector<Slot> slots_;
  int bits_ = 0, shift_ = 0;
  uint64_t mask_ = 0;

  void resize(int bits) {
    bits_ = bits;
    shift_ = 64 - bits;
    mask_ = (uint64_t{1} << bits) - 1;
    slots_ = LargeVector<Slot>();  // the old memory goes first: the two never stand side by side
    slots_.assign(size_t{1} << bits, Slot{Key<W>{}, -1});
    for (size_t id = 0; id < keys.size(); ++id) {
      uint64_t i = keys[id].hash() >> shift_;
      while (slots_[i].id >= 0) i = (i + 1) & mask_;
      slots_[i] = {keys[id], static_cast<int32_t>(id)};
    }
  }
};

}  // namespace crfrnn::CRFRNN_TARGET
CRFRNN_END_TARGET

#endif
