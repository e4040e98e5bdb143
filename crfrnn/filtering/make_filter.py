"""The choice between the methods: from positions to a filter."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn import checks
from crfrnn.arrays import concrete, namespace
from crfrnn.checks import Choice, Flag, Listed, Odd
from crfrnn.filtering import native as native_lattice
from crfrnn.filtering.exact import ExactFilter
from crfrnn.filtering.lattice import LatticeFilter
from crfrnn.filtering.local import LocalFilter
from crfrnn.filtering.normalized import NORMALIZATIONS, NormalizedFilter
from crfrnn.filtering.operator import position_limit
from crfrnn.filtering.positions_that_learn import PositionsThatLearn
from crfrnn.native import library

METHODS = ("lattice", "exact", "local")


def _sizes(given: dict[str, Any]) -> checks.Sizes:
    positions, native = given["positions"], given.get("native")
    Listed("sizes", optional=True).check("grid", given.get("grid"), {})
    if len(positions.shape) != 3 or positions.shape[2] == 0:
        raise ValueError(
            "Expected positions of shape (B, N, F) with F >= 1. "
            f"Received: positions of shape {tuple(positions.shape)}."
        )
    method = given.get("method", "lattice")
    if native and method != "lattice":
        raise RuntimeError(
            'The native library has method="lattice" only. '
            f'Received: native=True, method="{method}". Use native=None.'
        )
    return {"S": None if given.get("grid") is None else len(given["grid"])}


@checks.door(
    _sizes,
    method=Choice(METHODS),
    normalization=Choice(NORMALIZATIONS),
    native=Flag(optional=True),
    window=Odd(),
    position_gradient=Flag(),
)
def make_filter(
    positions: Any,
    *,
    method: str = "lattice",
    normalization: str = "after",
    native: bool | None = None,
    grid: Sequence[Any] | None = None,
    window: int | Sequence[int] = 11,
    position_gradient: bool = False,
) -> NormalizedFilter:
    """Builds the Gaussian filter between given positions, to be applied many times.

    K_ij = exp(-|p_i - p_j|^2 / 2) between points i and j, including i = j.

    Args:
        positions: (B, N, F), any real dtype, already divided by the bandwidths (one unit = one
            standard deviation). With B = 1 the filter serves any number of images.
        method: "lattice": permutohedral lattice, time linear in N, a few percent from the exact
            filter. "exact": all pairs, O(N^2). "local": exact between points at most half a
            `window` apart on a regular grid, none beyond.
        normalization: "after", "before", "symmetric" or "none"; see `NormalizedFilter`.
        native: None: the C++ lattice where the data is on a CPU and the library is available,
            keras.ops elsewhere. True: the C++ lattice or an error. False: keras.ops.
        grid: sizes of the regular grid, (H, W) or (D, H, W), whose points in row-major order are
            the N points; for method="local" only.
        window: width of the window of method="local" in points, odd: a number or one per grid axis.
        position_gradient: whether positions receive a gradient from the lattice, that of the
            Gaussian; the backward pass then filters 2 F times as many channels. "exact" and "local"
            pass theirs on in any case.

    Returns:
        A function of values (B, N, C) to (B, N, C) float32, differentiable in the values and, as
        said, in the positions; with a method `transpose`. NumPy positions and
        values give NumPy results and need no Keras.

    Raises:
        ValueError: an unknown name, a wrong shape, or positions that are not finite or too far from
            the origin for the lattice (where their numbers are known already).
        RuntimeError: native=True, but the C++ lattice cannot be used.

    Reference:
        A. Adams, J. Baek, M. A. Davis, "Fast High-Dimensional Filtering Using the Permutohedral
        Lattice", Eurographics 2010. P. Kraehenbuehl, V. Koltun, "Efficient Inference in Fully
        Connected CRFs with Gaussian Edge Potentials", NIPS 2011.

    Example:

    >>> positions = np.array([[[0.0], [1.0], [50.0]]])  # B = 1, N = 3, F = 1
    >>> smooth = make_filter(positions, method="exact")
    >>> smooth(np.array([[[0.0], [1.0], [7.0]]])).round(3)
    array([[[0.378],
            [0.622],
            [7.   ]]], dtype=float32)
    """
    learned_from = 0 if position_gradient else None
    return build_filter(
        positions, method, normalization, native, grid, window, learned_from=learned_from
    )


def build_filter(
    positions: Any,
    method: str = "lattice",
    normalization: str = "after",
    native: bool | None = None,
    grid: Sequence[Any] | None = None,
    window: int | Sequence[int] = 11,
    present: Any = None,
    norm: Any = None,
    learned_from: int | None = None,
) -> NormalizedFilter:
    """`make_filter` behind the door.

    present: (B, N, 1) float32, 1 for points and 0 for places without one, which send nothing; what
    they receive means nothing. None: a point at every place. norm: see `NormalizedFilter`.
    learned_from: the first feature that receives a gradient from a lattice; None: none does.
    """
    positions = namespace(positions).cast(positions, "float32")
    if present is not None:
        positions = _gathered(positions, present)
    operator = _operator(positions, method, native, grid, window)
    if learned_from is not None and method == "lattice":
        operator = PositionsThatLearn(operator, positions, learned_from)
    return NormalizedFilter(operator, normalization, present, norm)


def _gathered(positions: Any, present: Any) -> Any:
    """Positions (B or 1, N, F) with those of no point, (B, N, 1), where the first point is.

    So they add no vertex to a lattice, through which values would spread.
    """
    ops = namespace(positions, present)
    first = present * ops.cast(ops.cumsum(present, axis=1) == 1.0, "float32")
    place = ops.sum(first * positions, axis=1, keepdims=True)  # (B, 1, F)
    return ops.where(present > 0, positions, place)


def _operator(positions: Any, method: str, native: bool | None, grid: Any, window: Any) -> Any:
    if method != "lattice":
        _check_numbers(positions, method)
    if method == "local":
        return LocalFilter(positions, grid, window)
    if method == "exact" or 0 in positions.shape:  # without points all methods agree
        return ExactFilter(positions)
    refusal = native_lattice.refusal(positions) if native is not False else None
    if native and refusal:
        raise RuntimeError(f"native=True, but the C++ lattice cannot be used. {refusal}")
    features = positions.shape[-1]
    if refusal and features > library.MAX_FEATURES and not native_lattice.loading_error():
        warnings.warn(
            f"Positions with {features} features: the C++ lattice takes at most "
            f"{library.MAX_FEATURES}, so a many times slower one filters. Use fewer channels, for "
            "example their principal components, or native=False to say that this is meant.",
            stacklevel=checks.outside(),
        )
    if native is False or refusal:
        _check_numbers(positions, method)
        return LatticeFilter(positions)
    try:
        return native_lattice.NativeLatticeFilter(namespace(positions).stop_gradient(positions))
    except Exception:
        # The library checks the numbers itself. Should they be what is wrong, say it in the
        # same words, and with the same exception, on every backend.
        _check_numbers(positions, method)
        raise


def _check_numbers(positions: Any, method: str) -> None:
    """Checks positions (B, N, F) whose numbers are known; others cannot be checked."""
    if 0 in positions.shape:
        return
    ops = namespace(positions)
    limit = position_limit(positions.shape[-1]) if method == "lattice" else math.inf
    squared = ops.sum(ops.square(positions), axis=-1)
    # One number to wait for on a GPU; NaN compares as False.
    good = concrete(ops.all(ops.logical_and(squared <= limit**2, squared < math.inf)))
    if good is None or good:
        return
    numbers = np.asarray(concrete(positions), np.float64)
    if not np.isfinite(numbers).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(numbers))[0])
        raise ValueError(
            f"Expected finite positions. Received: {numbers[bad]} at index {bad}. "
            "Look for NaN in the image and for a bandwidth of zero."
        )
    reach = np.sqrt(np.square(numbers).sum(-1).max())
    near = f"within {limit:.4g} bandwidths of the origin"
    raise ValueError(
        f"Expected positions {near if limit < math.inf else 'whose squares float32 can hold'}. "
        "Received: a position at "
        f"distance {reach:.4g}. Use larger bandwidths, or shift the positions towards the origin."
    )
