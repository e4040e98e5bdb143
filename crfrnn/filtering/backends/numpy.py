"""The C++ lattice on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from crfrnn.native import library

XLA_COMPILES = True  # there is nothing for it to compile

build = library.build


def apply(
    values: Any, scale_in: Any, scale_out: Any, lattice: library.NativeLattice, transposed: bool
) -> np.ndarray:
    return library.apply(lattice, values, scale_in, scale_out, transposed)


def refusal(positions: Any) -> str | None:
    del positions
    return None
