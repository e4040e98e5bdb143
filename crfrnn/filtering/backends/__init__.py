"""The C++ lattice on the tensors of each framework: one file each, with the same names in all.

In: positions, values and scales as arrays or tensors of one framework. Out: tensors of it,
differentiable in the values. Only `crfrnn.filtering.native` imports this room.

    build(positions)                                             the lattice of positions (B, N, F)
    apply(values, scale_in, scale_out, lattice, transposed)      the filter; see native/library.py
    refusal(positions)                                           why it cannot serve them, or None
    XLA_COMPILES                                                 whether XLA can compile these calls
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

from crfrnn import arrays

NAMES = ("tensorflow", "jax", "torch")


def of(*tensors: Any) -> Any:
    """The module that serves these arrays; RuntimeError if none does."""
    ops = arrays.namespace(*tensors)
    if ops is arrays:
        return _module("numpy")
    return _module("torch") if type(ops).__name__ == "TorchOps" else running()


def running() -> Any:
    """The module that serves the running Keras backend; RuntimeError if none does."""
    import keras

    return _module(keras.backend.backend())


@functools.cache
def _module(name: str) -> Any:
    if name not in ("numpy", *NAMES):
        raise RuntimeError(
            f"The native lattice serves the Keras backends {', '.join(NAMES)}. "
            f'Received: "{name}". Use native=False.'
        )
    return importlib.import_module(f"crfrnn.filtering.backends.{name}")
