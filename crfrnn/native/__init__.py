"""The C++ permutohedral lattice: one library with a plain C interface, and its ctypes border.

In: contiguous float32 arrays. Out: lattices and filtered values as NumPy arrays. Only
`tensorflow_ops.cpp` knows a framework. Imports no other room; `filtering` and `meanfield` use it.
"""
