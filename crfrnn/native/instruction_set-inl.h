// The instruction set that a file is compiled for at the moment.
//
// Files named -inl.h are compiled once per instruction set, each time in a namespace of that name; dispatch.h includes them
// a second time with CRFRNN_TOGGLE defined. Their guard toggles with it, so that each is taken once per instruction set. By
// themselves, as an editor reads them, they are ordinary headers for the baseline. (The idea is google/highway's.)
#if defined(CRFRNN_INSTRUCTION_SET_INL_H) == defined(CRFRNN_TOGGLE)
#ifdef CRFRNN_INSTRUCTION_SET_INL_H
#undef CRFRNN_INSTRUCTION_SET_INL_H
#else
#define CRFRNN_INSTRUCTION_SET_INL_H
#endif

#undef CRFRNN_TARGET
#undef CRFRNN_BEGIN_TARGET
#undef CRFRNN_END_TARGET

#ifdef CRFRNN_TOGGLE
#define CRFRNN_TARGET avx2
#if defined(__clang__)
#define CRFRNN_BEGIN_TARGET \
  _Pragma("clang attribute push(__attribute__((target(\"avx2,fma\"))), apply_to = function)")
#define CRFRNN_END_TARGET _Pragma("clang attribute pop")
#else
#define CRFRNN_BEGIN_TARGET _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,fma\")")
#define CRFRNN_END_TARGET _Pragma("GCC pop_options")
#endif
#else
#define CRFRNN_TARGET baseline
#define CRFRNN_BEGIN_TARGET
#define CRFRNN_END_TARGET
#endif

#endif
