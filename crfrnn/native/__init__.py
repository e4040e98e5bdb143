"""The C++ permutohedral lattice: its sources, the library built from them, and how to call it."""
