"""The native library seen from NumPy: find it, load it, call its C interface (`c_api.h`).

Arrays are handed over without copying. Nothing here knows a deep-learning framework;
`crfrnn.filtering.native` builds on it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from crfrnn.native.structs import (
    MAX_FEATURES,
    PARTS,
    CLattice,
    CPairwiseTerm,
    NativeLattice,
    PairwiseTerm,
    c_lattice,
    c_pairwise_terms,
    checked,
    pointer,
)

__all__ = [
    "MAX_FEATURES",
    "PARTS",
    "NativeLattice",
    "PairwiseTerm",
    "apply",
    "build",
    "contiguous",
    "in_order",
    "load",
    "mean_field",
    "path",
    "softmax",
]

_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
_MESSAGE_SIZE = 1024
_OUT_OF_MEMORY = 2  # kOutOfMemory of c_api.h


@functools.cache
def path(name: str = "crfrnn") -> Path | None:
    """The file of the library "crfrnn" or "crfrnn_tensorflow", or None when it was not built."""
    prefix = "" if sys.platform == "win32" else "lib"
    file = Path(__file__).parent / f"{prefix}{name}{_SUFFIX}"
    return file if file.exists() else None


@functools.cache
def load() -> ctypes.CDLL:
    """The loaded library.

    Raises:
        RuntimeError: it was not built, or this machine cannot load it.
    """
    file = path()
    if file is None:
        raise RuntimeError(
            "The native library of crfrnn is missing, usually because no C++17 compiler was found "
            "when crfrnn was installed. Install one (Debian: apt-get install g++) and reinstall "
            "crfrnn, or use native=False."
        )
    try:
        library = ctypes.CDLL(str(file))
    except OSError as error:
        raise RuntimeError(f"The native library {file} cannot be loaded: {error}") from error
    address, int64, int32 = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
    message = (ctypes.c_char_p, int64)
    library.crfrnn_build.argtypes = (
        *(address, int64, int64, int64, address, address, address, address),
        *(ctypes.POINTER(address), *message),
    )
    library.crfrnn_write_chains.argtypes = (address, address, address, *message)
    library.crfrnn_delete_neighbours.argtypes = (address,)
    library.crfrnn_delete_neighbours.restype = None
    library.crfrnn_filter.argtypes = (
        *(ctypes.POINTER(CLattice), address, int64, int64, address, address, int32, address),
        *message,
    )
    library.crfrnn_softmax.argtypes = (address, int64, int64, address, *message)
    library.crfrnn_mean_field.argtypes = (
        *(ctypes.POINTER(CPairwiseTerm), int64, address, int64, int64, address, address),
        *message,
    )
    library.crfrnn_set_in_order.argtypes = (int32,)
    library.crfrnn_set_in_order.restype = int32
    library.crfrnn_max_threads.restype = int32
    library.crfrnn_instruction_set.restype = ctypes.c_char_p
    return library


def _call(name: str, *arguments) -> None:
    message = ctypes.create_string_buffer(_MESSAGE_SIZE)
    failure = getattr(load(), name)(*arguments, message, _MESSAGE_SIZE)
    if failure:
        kind = MemoryError if failure == _OUT_OF_MEMORY else ValueError
        raise kind(message.value.decode())


@contextlib.contextmanager
def in_order() -> Iterator[None]:
    """Sums of this thread's calls are in the order of the points, on one thread.

    A point's result then depends, to the last bit, on the points within reach alone, not on how
    many others are filtered with it.
    """
    before = load().crfrnn_set_in_order(1)
    try:
        yield
    finally:
        load().crfrnn_set_in_order(before)


def contiguous(array) -> np.ndarray:
    """`array` as a C-contiguous float32 array; the same memory whenever it already is one."""
    return np.ascontiguousarray(array, np.float32)


def build(positions: np.ndarray) -> NativeLattice:
    """Builds the lattice of a batch of images.

    positions: (B, N, F) float, F = 1..32, already divided by the bandwidths.

    Raises:
        ValueError: positions that are not finite, too far from the origin, or too many.
    """
    positions = contiguous(positions)
    if positions.ndim != 3:
        raise ValueError(f"Expected positions (B, N, F). Received shape {positions.shape}.")
    batch, points, features = positions.shape
    vertex_ids = np.empty((batch, points, features + 1), np.int32)
    weights = np.empty(vertex_ids.shape, np.float32)
    chain_splits, seen = np.empty(features + 2, np.int64), np.empty(PARTS + 1, np.int64)
    # The number of chained vertices is known after the first step. All memory is taken here: a
    # library that called back for it would have nowhere to put a Ctrl-C.
    neighbours = ctypes.c_void_p()
    try:
        _call(
            "crfrnn_build",
            *(pointer(positions), batch, points, features),
            *map(pointer, (vertex_ids, weights, chain_splits, seen)),
            ctypes.byref(neighbours),
        )
        chains = np.empty(chain_splits[-1], np.int32)
        _call("crfrnn_write_chains", neighbours, pointer(chain_splits), pointer(chains))
    finally:
        load().crfrnn_delete_neighbours(neighbours)
    return NativeLattice(vertex_ids, weights, chains, chain_splits, seen)


def apply(
    lattice: NativeLattice,
    values: np.ndarray,
    scale_in: np.ndarray | None = None,
    scale_out: np.ndarray | None = None,
    transposed: bool = False,
) -> np.ndarray:
    """diag(scale_out) K diag(scale_in) values, or with K transposed.

    values: (B, N, C) float; scale_in, scale_out: (B, N, 1) or None. A lattice of one image serves
    any number of images, and so do its scales. Returns (B, N, C) float32.
    """
    struct = c_lattice(lattice)
    values = contiguous(values)
    scale_in, scale_out = (None if s is None else contiguous(s) for s in (scale_in, scale_out))
    batch, points, _ = lattice.vertex_ids.shape
    fits = values.ndim == 3 and values.shape[1] == points and batch in (1, values.shape[0])
    if not fits or any(s is not None and s.size != batch * points for s in (scale_in, scale_out)):
        raise ValueError(
            f"Expected values (B, N, C) and scales (B, N, 1) for a lattice of B = {batch} images "
            f"of N = {points} points (B = 1 serves any number). Received values of shape "
            f"{values.shape}, scales of shapes "
            f"{[None if s is None else s.shape for s in (scale_in, scale_out)]}."
        )
    out = np.empty_like(values)
    if values.size:
        _call(
            "crfrnn_filter",
            ctypes.byref(struct),
            *(pointer(values), len(values) // len(lattice.vertex_ids), values.shape[2]),
            *(pointer(scale_in), pointer(scale_out), transposed, pointer(out)),
        )
    return out


def softmax(logits: np.ndarray) -> np.ndarray:
    """softmax over the last axis of logits (N, L); returns a new float32 array."""
    logits = contiguous(logits)
    if logits.ndim != 2:
        raise ValueError(f"Expected logits (N, L). Received shape {logits.shape}.")
    out = np.empty_like(logits)
    if logits.size:
        _call("crfrnn_softmax", pointer(logits), *logits.shape, pointer(out))
    return out


def mean_field(
    terms: list[PairwiseTerm],
    unaries: np.ndarray,
    q: np.ndarray | None = None,
    num_iterations: int = 1,
) -> np.ndarray:
    """Iterations q <- softmax(unaries - sum of mixing K q over the terms); returns the last q.

    unaries, q: (N, L) float32, contiguous; a batch is one long list of points. q is overwritten;
    None: a new array, from the softmax of the unaries on. Several iterations in one call give the
    bits of as many calls, and take less time.
    """
    if getattr(unaries, "ndim", None) != 2:
        raise ValueError(f"Expected unaries (N, L). Received {getattr(unaries, 'shape', unaries)}.")
    if not terms:
        raise ValueError("Expected one pairwise term or more. Received none.")
    if num_iterations < 1:
        raise ValueError(f"Expected one iteration or more. Received {num_iterations}.")
    points, labels = unaries.shape
    checked("unaries", unaries, np.float32, (points, labels))
    out = np.empty_like(unaries) if q is None else q
    checked("q", out, np.float32, (points, labels), writeable=True)
    structs = c_pairwise_terms(terms, points, labels)
    if unaries.size:
        _call(
            "crfrnn_mean_field",
            *(structs, len(terms), pointer(unaries), labels, num_iterations),
            *(pointer(q), pointer(out)),
        )
    return out
