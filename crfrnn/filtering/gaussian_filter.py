"""The filter as one function of values and positions; public as `crfrnn.gaussian_filter`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from crfrnn import checks
from crfrnn.arrays import namespace
from crfrnn.filtering.make_filter import make_filter
from crfrnn.filtering.normalized import compatible


def gaussian_filter(
    values: Any,
    positions: Any,
    *,
    method: str = "lattice",
    normalization: str = "after",
    native: bool | None = None,
    grid: Sequence[Any] | None = None,
    window: int | Sequence[int] = 11,
    position_gradient: bool = False,
) -> Any:
    """Gaussian filter of values that live at arbitrary positions.

    With the default normalisation each result is the mean of all values, weighted by
    exp(-|p_i - p_j|^2 / 2).

    Args:
        values: (..., N, C), any real dtype; the leading axes are the batch. The C channels are
            filtered independently.
        positions: (..., N, F), already divided by the bandwidths (one unit = one standard
            deviation). The leading axes are those of the values, or all 1, or absent: then all
            images share them.
        method, normalization, native, grid, window: see `make_filter`.
        position_gradient: whether the positions receive a gradient from the lattice, too: that of
            the Gaussian, at the cost of 2 F C more channels in the backward pass.

    Returns:
        Array of the shape and float dtype of values (float32 for integers), computed in float32.
        NumPy arrays give a NumPy array, without importing Keras; tensors of the Keras backend give
        a tensor, differentiable in the values, for "exact" and "local" also in the positions, for
        "lattice" on request.

    Raises:
        ValueError: an unknown name, a wrong shape, or positions that are not finite or too far from
            the origin for the lattice.
        RuntimeError: native=True, but the C++ lattice cannot be used.

    Example:

    >>> import numpy as np
    >>> noisy_step = np.array([[0.1], [0.0], [0.2], [5.1], [4.9]])  # N = 5 points, C = 1
    >>> where_and_what = noisy_step / 1.0 + np.array([[0.0, 0.1, 0.2, 0.3, 0.4]]).T
    >>> gaussian_filter(noisy_step, where_and_what, method="exact").round(1)
    array([[0.1],
           [0.1],
           [0.1],
           [5. ],
           [5. ]])
    """
    values = checks.array_or_tensor("values", values)
    positions = checks.array_or_tensor("positions", positions)
    _check(values, positions)
    ops = namespace(values, positions)
    apply = make_filter(
        _flatten_batch(positions),
        method=method,
        normalization=normalization,
        native=native,
        grid=grid,
        window=window,
        position_gradient=position_gradient,
    )
    out = apply(_flatten_batch(values))
    dtype = values.dtype if "float" in str(values.dtype) else "float32"
    return ops.cast(ops.reshape(out, ops.shape(values)), dtype)


def _check(values: Any, positions: Any) -> None:
    if len(values.shape) < 2 or len(positions.shape) < 2:
        raise ValueError(_shapes_message(values, positions))
    lead, points = values.shape[:-2], values.shape[-2]
    shared = all(size == 1 for size in positions.shape[:-2])
    same = len(positions.shape) == len(values.shape) and all(
        compatible(a, b) for a, b in zip(positions.shape[:-2], lead, strict=True)
    )
    if not compatible(points, positions.shape[-2]) or not (shared or same):
        raise ValueError(_shapes_message(values, positions))


def _flatten_batch(array: Any) -> Any:
    """(..., N, C) -> (B, N, C)."""
    ops = namespace(array)
    *lead, points, channels = ops.shape(array)
    return ops.reshape(array, (math.prod(lead), points, channels))


def _shapes_message(values: Any, positions: Any) -> str:
    return (
        "Expected values of shape (..., N, C) and positions of shape (..., N, F) with the same N "
        "and the same leading axes (or leading axes of positions that are 1 or absent). Received: "
        f"values of shape {tuple(values.shape)}, positions of shape {tuple(positions.shape)}."
    )
