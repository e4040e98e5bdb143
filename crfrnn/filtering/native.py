"""The C++ permutohedral lattice as a filter, and where it may be used."""

from __future__ import annotations

import functools
from typing import Any

from crfrnn.filtering import backends
from crfrnn.native import library


def available() -> bool:
    """Whether the native library is there and can be loaded; see `native_status` for the reason."""
    return loading_error() is None


def native_status() -> dict[str, Any]:
    """What is known of the native library.

    Returns:
        dict with `available` (bool), `path` (str or None), `threads` (int, the number used at
        most: OMP_NUM_THREADS when the library was first used, or else the cores of this process),
        `instruction_set` ("avx2", "baseline" or None), and `error` (str or None: why it is not
        available).

    Example:

    >>> sorted(native_status())
    ['available', 'error', 'instruction_set', 'path', 'threads']
    """
    error = loading_error()
    loaded = None if error else library.load()
    return {
        "available": error is None,
        "path": str(library.path()) if loaded else None,
        "threads": int(loaded.crfrnn_max_threads()) if loaded else 1,
        "instruction_set": loaded.crfrnn_instruction_set().decode() if loaded else None,
        "error": error,
    }


def refusal(positions: Any = None) -> str | None:
    """Why the native lattice cannot be used, or None where it can: else keras.ops can.

    Args:
        positions: (..., F) to filter at; None asks for the running Keras backend as such.

    On TensorFlow this registers its operations, which a SavedModel that contains them needs to be
    loaded.
    """
    if error := loading_error():
        return error
    if positions is None:
        return _backend_error()
    features = positions.shape[-1]
    if features > library.MAX_FEATURES:
        return f"It takes at most {library.MAX_FEATURES} features, received {features}."
    try:
        return backends.of(positions).refusal(positions)
    except Exception as error:  # whatever keeps a backend from loading it, keras.ops will do
        return str(error)


def xla_compiles() -> bool:
    """Whether XLA can compile what filters with the native lattice on the running backend."""
    if refusal() is not None:
        return True  # it will not be used
    return backends.running().XLA_COMPILES


class NativeLatticeFilter:
    """The C++ permutohedral lattice with the interface of `crfrnn.filtering.operator`.

    Args:
        positions: (B, N, F) float32, F = 1..32, already divided by the bandwidths. With B = 1 the
            one filter serves every image of a larger batch of values.

    Raises:
        RuntimeError: the library is not available.
        ValueError: positions that are not finite or too far from the origin. In a TensorFlow graph
            these are raised when it runs, as `tf.errors.InvalidArgumentError`.

    Reference:
        A. Adams, J. Baek, M. A. Davis, "Fast High-Dimensional Filtering Using the Permutohedral
        Lattice", Eurographics 2010.

    Example:

    >>> import numpy as np
    >>> K = NativeLatticeFilter(np.zeros((1, 4, 2), "float32"))  # four points in one place
    >>> K(np.ones((1, 4, 1), "float32")).round(1).ravel()
    array([3.6, 3.6, 3.6, 3.6], dtype=float32)
    """

    def __init__(self, positions: Any):
        self.positions = positions
        self.lattice = backends.of(positions).build(positions)

    def __call__(
        self, values: Any, scale_in: Any = None, scale_out: Any = None, transposed: bool = False
    ) -> Any:
        """diag(scale_out) K diag(scale_in) values, or with K transposed.

        Args:
            values: (B, N, C) float32.
            scale_in, scale_out: (B or 1, N, 1) float32, or None. Unlike values they receive no
                gradient: they are made of positions, which receive none from a lattice.
            transposed: apply the transposed of K.

        Returns:
            (B, N, C) float32.
        """
        if 0 in values.shape:
            return values
        backend = backends.of(values, self.positions)
        return backend.apply(values, scale_in, scale_out, self.lattice, transposed)


@functools.cache
def loading_error() -> str | None:
    """Why the library cannot be loaded, or None."""
    try:
        library.load()
    except (RuntimeError, AttributeError) as error:  # missing, or of another version
        return str(error)
    return None


@functools.cache
def _backend_error() -> str | None:
    try:
        backends.running()
    except Exception as error:  # as in `refusal`
        return str(error)
    return None
