"""What the native library is given: arrays that are checked, and the structs that hold them."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np

PARTS = 64  # kParts of helpers.h
MAX_FEATURES = 32  # kMaxFeatures of lattice.h


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


class PairwiseTerm(NamedTuple):
    """One pairwise term of an offline CRF: a lattice, its normalisation, what mixes the labels.

    mixing: compatibility times weights, (L, L), or (L,) when the product is diagonal.
    """

    lattice: NativeLattice
    scale_in: np.ndarray | None
    scale_out: np.ndarray | None
    mixing: np.ndarray


class CLattice(ctypes.Structure):
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


class CPairwiseTerm(ctypes.Structure):
    """`crfrnn::PairwiseTerm` of pairwise_term.h."""

    _fields_ = (
        ("lattice", CLattice),
        ("scale_in", ctypes.c_void_p),
        ("scale_out", ctypes.c_void_p),
        ("mixing", ctypes.c_void_p),
        ("diagonal", ctypes.c_int32),
    )


def pointer(array: np.ndarray | None) -> int | None:
    return None if array is None else array.ctypes.data


def checked(name: str, array: Any, dtype: Any, *shapes: tuple, writeable: bool = False) -> None:
    """The library reads and writes what it is given: every array is what it has to be, or refused.

    shapes: those allowed; None stands for any size.
    """
    dtype = np.dtype(dtype)
    fits = (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and array.flags.c_contiguous
        and array.flags.aligned
        and (array.flags.writeable or not writeable)
        and any(
            len(shape) == array.ndim
            and all(size in (None, own) for size, own in zip(shape, array.shape, strict=True))
            for shape in shapes
        )
    )
    if fits:
        return
    wanted = f"a contiguous{', writeable' * writeable} {dtype} array of shape "
    wanted += " or ".join(str(shape).replace("None", "any") for shape in shapes)
    if isinstance(array, np.ndarray):
        flags = array.flags
        received = (
            f"shape {array.shape}, dtype {array.dtype}, "
            f"contiguous={flags.c_contiguous and flags.aligned}, writeable={flags.writeable}"
        )
    else:
        received = type(array).__name__
    raise ValueError(f"Expected {name} to be {wanted}. Received {received}.")


def c_lattice(lattice: NativeLattice) -> CLattice:
    """The struct that the C functions read; `lattice` must outlive it."""
    checked("vertex_ids", lattice.vertex_ids, np.int32, (None, None, None))
    batch, points, corners = lattice.vertex_ids.shape
    features = corners - 1
    if not 1 <= features <= MAX_FEATURES:
        raise ValueError(
            f"Expected a lattice of 1 to {MAX_FEATURES} features. Received vertex_ids of shape "
            f"{lattice.vertex_ids.shape}."
        )
    checked("weights", lattice.weights, np.float32, (batch, points, corners))
    checked("chains", lattice.chains, np.int32, (None,))
    checked("chain_splits", lattice.chain_splits, np.int64, (corners + 1,))
    checked("seen", lattice.seen, np.int64, (PARTS + 1,))
    if lattice.chain_splits[-1] > len(lattice.chains):
        raise ValueError(
            f"Expected at least chain_splits[-1] = {lattice.chain_splits[-1]} chains. "
            f"Received {len(lattice.chains)}."
        )
    return CLattice(batch * points, features, *map(pointer, lattice))


def c_pairwise_terms(terms: list[PairwiseTerm], points: int, labels: int) -> ctypes.Array:
    """The structs that the C functions read; `terms` must outlive them."""
    structs = (CPairwiseTerm * len(terms))()
    for struct, (lattice, scale_in, scale_out, mixing) in zip(structs, terms, strict=True):
        struct.lattice = c_lattice(lattice)
        batch = lattice.vertex_ids.shape[:2]
        if struct.lattice.points != points:
            raise ValueError(
                f"Expected lattices of the {points} points of the unaries. Received one of "
                f"(B, N) = {batch} points."
            )
        for name, scale in (("scale_in", scale_in), ("scale_out", scale_out)):
            if scale is not None:
                checked(name, scale, np.float32, (*batch, 1), batch, (points,))
        checked("mixing", mixing, np.float32, (labels, labels), (labels,))
        struct.scale_in, struct.scale_out = pointer(scale_in), pointer(scale_out)
        struct.mixing, struct.diagonal = pointer(mixing), mixing.ndim == 1
    return structs
