"""The native library seen from NumPy: find it, load it, call its C interface (`c_api.h`).

Arrays are handed over without copying. Nothing here knows a deep-learning framework;
`crfrnn.filtering.native` builds on it.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
PARTS = 64  # kParts of helpers.h
MAX_FEATURES = 32  # kMaxFeatures of lattice.h
_MESSAGE_SIZE = 1024
_OUT_OF_MEMORY = 2  # kOutOfMemory of c_api.h


class NativeLattice(NamedTuple):
    """A permutohedral lattice as plain arrays, made by `build` and read by `apply`.

    vertex_ids: (B, N, F + 1) int32, the corners of the simplex around each point, < M.
    weights: (B, N, F + 1) float32, their barycentric weights, which sum to 1 over the last axis.
    chains: 1-D int32, for each axis the runs of neighbouring vertices; ~v starts a run.
    chain_splits: (F + 2,) int64, the chains of axis j are chain_splits[j]:chain_splits[j+1].
    seen: (PARTS + 1,) int64, the first p of PARTS equal parts of the points have corners below
        seen[p] only, so that the last is M.
    """

    vertex_ids: np.ndarray
    weights: np.ndarray
    chains: np.ndarray
    chain_splits: np.ndarray
    seen: np.ndarray


class _CLattice(ctypes.Structure):
    """`crfrnn::Lattice` of lattice.h."""

    _fields_ = (
        ("points", ctypes.c_int64),
        ("features", ctypes.c_int64),
        ("vertex_ids", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("chains", ctypes.c_void_p),
        ("chain_splits", ctypes.c_void_p),
        ("seen", ctypes.c_void_p),
    )


class _CPairwiseTerm(ctypes.Structure):
    """`crfrnn::PairwiseTerm` of pairwise_term.h."""

    _fields_ = (
        ("lattice", _CLattice),
        ("scale_in", ctypes.c_void_p),
        ("scale_out", ctypes.c_void_p),
        ("mixing", ctypes.c_void_p),
        ("diagonal", ctypes.c_int32),
    )


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
    pointer, int64, int32 = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
    message = (ctypes.c_char_p, int64)
    library.crfrnn_build.argtypes = (
        *(pointer, int64, int64, int64, pointer, pointer, pointer, pointer),
        *(ctypes.POINTER(pointer), *message),
    )
    library.crfrnn_write_chains.argtypes = (pointer, pointer, pointer, *message)
    library.crfrnn_delete_neighbours.argtypes = (pointer,)
    library.crfrnn_delete_neighbours.restype = None
    library.crfrnn_filter.argtypes = (
        *(ctypes.POINTER(_CLattice), pointer, int64, int64, pointer, pointer, int32, pointer),
        *message,
    )
    library.crfrnn_softmax.argtypes = (pointer, int64, int64, pointer, *message)
    library.crfrnn_mean_field_step.argtypes = (
        *(ctypes.POINTER(_CPairwiseTerm), int64, pointer, int64, pointer, pointer),
        *message,
    )
    library.crfrnn_max_threads.restype = int32
    library.crfrnn_instruction_set.restype = ctypes.c_char_p
    return library


def _call(name: str, *arguments) -> None:
    message = ctypes.create_string_buffer(_MESSAGE_SIZE)
    failure = getattr(load(), name)(*arguments, message, _MESSAGE_SIZE)
    if failure:
        kind = MemoryError if failure == _OUT_OF_MEMORY else ValueError
        raise kind(message.value.decode())


def _pointer(array: np.ndarray | None) -> int | None:
    return None if array is None else array.ctypes.data


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
            *(_pointer(positions), batch, points, features),
            *map(_pointer, (vertex_ids, weights, chain_splits, seen)),
            ctypes.byref(neighbours),
        )
        chains = np.empty(chain_splits[-1], np.int32)
        _call("crfrnn_write_chains", neighbours, _pointer(chain_splits), _pointer(chains))
    finally:
        load().crfrnn_delete_neighbours(neighbours)
    return NativeLattice(vertex_ids, weights, chains, chain_splits, seen)


def c_lattice(lattice: NativeLattice) -> _CLattice:
    """The struct that the C functions read; `lattice` must outlive it."""
    batch, points, corners = lattice.vertex_ids.shape
    return _CLattice(
        batch * points,
        corners - 1,
        *(_pointer(array) for array in lattice),
    )


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
            ctypes.byref(c_lattice(lattice)),
            *(_pointer(values), len(values) // len(lattice.vertex_ids), values.shape[2]),
            *(_pointer(scale_in), _pointer(scale_out), transposed, _pointer(out)),
        )
    return out


def softmax(logits: np.ndarray) -> np.ndarray:
    """softmax over the last axis of logits (N, L); returns a new float32 array."""
    logits = contiguous(logits)
    out = np.empty_like(logits)
    _call("crfrnn_softmax", _pointer(logits), *logits.shape, _pointer(out))
    return out


class PairwiseTerm(NamedTuple):
    """One pairwise term of an offline CRF: a lattice, its normalisation, what mixes the labels.

    mixing: compatibility times weights, (L, L), or (L,) when the product is diagonal.
    """

    lattice: NativeLattice
    scale_in: np.ndarray | None
    scale_out: np.ndarray | None
    mixing: np.ndarray


def mean_field_step(terms: list[PairwiseTerm], unaries: np.ndarray, q: np.ndarray) -> None:
    """q <- softmax(unaries - sum of mixing K q over the terms), in place.

    unaries, q: (N, L) float32, contiguous; a batch is one long list of points.
    """
    shape = unaries.shape
    for name, array in (("unaries", unaries), ("q", q)):
        if array.dtype != np.float32 or not array.flags.c_contiguous or array.shape != shape:
            raise ValueError(
                f"Expected contiguous float32 unaries and q of one shape. Received {name} of shape "
                f"{array.shape}, dtype {array.dtype}, strides {array.strides}."
            )
    structs = (_CPairwiseTerm * len(terms))()
    for struct, (lattice, scale_in, scale_out, mixing) in zip(structs, terms, strict=True):
        struct.lattice = c_lattice(lattice)
        struct.scale_in, struct.scale_out = _pointer(scale_in), _pointer(scale_out)
        struct.mixing, struct.diagonal = _pointer(mixing), mixing.ndim == 1
    _call(
        "crfrnn_mean_field_step",
        *(structs, len(terms), _pointer(unaries), unaries.shape[1], _pointer(q), _pointer(q)),
    )
