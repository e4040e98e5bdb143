"""The C++ permutohedral lattice: sources and, once built, the shared library that `crfrnn.filtering.native` loads."""
