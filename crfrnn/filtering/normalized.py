"""Gaussian filtering of points: normalisation, and the choice between the methods."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn.arrays import check_array, concrete, namespace
from crfrnn.filtering import native as native_lattice
from crfrnn.filtering.exact import ExactFilter
from crfrnn.filtering.lattice import LatticeFilter
from crfrnn.filtering.local import LocalFilter
from crfrnn.filtering.operator import position_limit
from crfrnn.native import library

METHODS = ("lattice", "exact", "local")
NORMALIZATIONS = ("after", "before", "symmetric", "none")

# Keeps the norm of a point without neighbours from being zero; the value of the reference
# implementations, so that results agree with theirs.
_TINY_NORM = 1e-20


class NormalizedFilter:
    """A Gaussian filter K with one of the usual normalisations by n = K 1.

    | normalization | result                      |                              |
    |---------------|-----------------------------|------------------------------|
    | "after"       | diag(1/n) K v               | weighted mean; CRF-RNN       |
    | "before"      | K diag(1/n) v               |                              |
    | "symmetric"   | diag(n^-1/2) K diag(n^-1/2) v | default of pydensecrf      |
    | "none"        | K v                         |                              |

    Args:
        operator: the filter without normalisation; see `crfrnn.filtering.operator`.
        normalization: a name of the table.
        present: (B, N, 1) float32, 1 for points and 0 for those that only lend the lattice their
            vertices: their values and they themselves count for nothing. None: all are points.

    Made by `make_filter`, which has an example.
    """

    def __init__(self, operator: Any, normalization: str = "after", present: Any = None):
        self.operator = operator
        self.scale_in, self.scale_out = present, None
        if normalization == "none":
            return
        ops = namespace(operator.positions)
        # One channel: all would be the same.
        ones = ops.ones_like(operator.positions[..., :1]) if present is None else present
        norm = operator(ones) + _TINY_NORM
        scale = 1.0 / (ops.sqrt(norm) if normalization == "symmetric" else norm)
        if normalization in ("before", "symmetric"):
            self.scale_in = scale if present is None else scale * present
        if normalization in ("after", "symmetric"):
            self.scale_out = scale

    def __call__(self, values: Any) -> Any:
        """Filters values (B, N, C) of any real dtype; returns (B, N, C) float32."""
        values = self._checked(values)
        return self.operator(values, self.scale_in, self.scale_out)

    def transpose(self, values: Any) -> Any:
        """Applies the transposed of the filter to values (B, N, C); returns (B, N, C) float32."""
        values = self._checked(values)
        return self.operator(values, self.scale_out, self.scale_in, transposed=True)

    def _checked(self, values: Any) -> Any:
        positions = self.operator.positions
        if len(values.shape) != 3 or not (
            _compatible(values.shape[1], positions.shape[1])
            and (positions.shape[0] == 1 or _compatible(values.shape[0], positions.shape[0]))
        ):
            raise ValueError(
                "Expected values of shape (B, N, C) with the B and N of the positions (B, N, F), "
                "where positions with B = 1 serve any number of images. Received: values of shape "
                f"{tuple(values.shape)}, positions of shape {tuple(positions.shape)}."
            )
        return namespace(values, positions).cast(values, "float32")


def make_filter(
    positions: Any,
    *,
    method: str = "lattice",
    normalization: str = "after",
    native: bool | None = None,
    grid: Sequence[Any] | None = None,
    window: int | Sequence[int] = 11,
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

    Returns:
        A function of values (B, N, C) to (B, N, C) float32, differentiable in the values, for
        "exact" and "local" also in the positions; with a method `transpose`. NumPy positions and
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
    check_names(method, normalization)
    if len(positions.shape) != 3 or positions.shape[2] == 0:
        raise ValueError(
            "Expected positions of shape (B, N, F) with F >= 1. "
            f"Received: positions of shape {tuple(positions.shape)}."
        )
    if native and method != "lattice":
        raise RuntimeError(
            'The native library has method="lattice" only. '
            f'Received: native=True, method="{method}". Use native=None.'
        )
    positions = namespace(positions).cast(positions, "float32")
    return NormalizedFilter(_operator(positions, method, native, grid, window), normalization)


def gaussian_filter(
    values: Any,
    positions: Any,
    *,
    method: str = "lattice",
    normalization: str = "after",
    native: bool | None = None,
    grid: Sequence[Any] | None = None,
    window: int | Sequence[int] = 11,
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

    Returns:
        Array of the shape and float dtype of values (float32 for integers), computed in float32.
        NumPy arrays give a NumPy array, without importing Keras; tensors of the Keras backend give
        a tensor, differentiable in the values, for "exact" and "local" also in the positions.

    Raises:
        ValueError: an unknown name, a wrong shape, or positions that are not finite or too far from
            the origin for the lattice.
        RuntimeError: native=True, but the C++ lattice cannot be used.

    Example:

    >>> noisy_step = np.array([[0.1], [0.0], [0.2], [5.1], [4.9]])  # N = 5 points, C = 1
    >>> where_and_what = noisy_step / 1.0 + np.array([[0.0, 0.1, 0.2, 0.3, 0.4]]).T
    >>> gaussian_filter(noisy_step, where_and_what, method="exact").round(1)
    array([[0.1],
           [0.1],
           [0.1],
           [5. ],
           [5. ]])
    """
    check_array("values", values)
    check_array("positions", positions)
    if len(values.shape) < 2 or len(positions.shape) < 2:
        raise ValueError(_shapes_message(values, positions))
    lead, points = values.shape[:-2], values.shape[-2]
    shared = all(size == 1 for size in positions.shape[:-2])
    same = len(positions.shape) == len(values.shape) and all(
        _compatible(a, b) for a, b in zip(positions.shape[:-2], lead, strict=True)
    )
    if not _compatible(points, positions.shape[-2]) or not (shared or same):
        raise ValueError(_shapes_message(values, positions))

    ops = namespace(values, positions)
    apply = make_filter(
        _flatten_batch(positions),
        method=method,
        normalization=normalization,
        native=native,
        grid=grid,
        window=window,
    )
    out = apply(_flatten_batch(values))
    dtype = values.dtype if "float" in str(values.dtype) else "float32"
    return ops.cast(ops.reshape(out, ops.shape(values)), dtype)


def _operator(positions: Any, method: str, native: bool | None, grid: Any, window: Any) -> Any:
    if method != "lattice":
        _check_numbers(positions, method)
    if method == "local":
        return LocalFilter(positions, grid, window)
    if method == "exact" or 0 in positions.shape:  # without points all methods agree
        return ExactFilter(positions)
    if native is not False and native_lattice.usable(positions):
        try:
            return native_lattice.NativeLatticeFilter(namespace(positions).stop_gradient(positions))
        except Exception:
            # The library checks the numbers itself. Should they be what is wrong, say it in the
            # same words, and with the same exception, on every backend.
            _check_numbers(positions, method)
            raise
    too_many = positions.shape[-1] > library.MAX_FEATURES
    if too_many and native is None and native_lattice.available():
        warnings.warn(
            f"Positions with {positions.shape[-1]} features: the C++ lattice takes at most "
            f"{library.MAX_FEATURES}, so a many times slower one filters. Use fewer channels, for "
            "example their principal components, or native=False to say that this is meant.",
            stacklevel=3,
        )
    if native:
        if too_many:
            why = (
                f"It takes at most {library.MAX_FEATURES} features, received {positions.shape[-1]}."
            )
        else:
            why = native_lattice.backend_error() or (
                "The positions are not on a CPU, or XLA compiles the function."
            )
        raise RuntimeError(f"native=True, but the C++ lattice cannot be used. {why}")
    _check_numbers(positions, method)
    return LatticeFilter(positions)


def _flatten_batch(array: Any) -> Any:
    """(..., N, C) -> (B, N, C)."""
    ops = namespace(array)
    *lead, points, channels = ops.shape(array)
    return ops.reshape(array, (math.prod(lead), points, channels))


def _compatible(a: int | None, b: int | None) -> bool:
    return a is None or b is None or a == b


def _shapes_message(values: Any, positions: Any) -> str:
    return (
        "Expected values of shape (..., N, C) and positions of shape (..., N, F) with the same N "
        "and the same leading axes (or leading axes of positions that are 1 or absent). Received: "
        f"values of shape {tuple(values.shape)}, positions of shape {tuple(positions.shape)}."
    )


def check_names(method: str, normalization: str) -> None:
    """Raise ValueError unless both are names that `make_filter` knows."""
    for argument, name, names in (
        ("method", method, METHODS),
        ("normalization", normalization, NORMALIZATIONS),
    ):
        if not isinstance(name, str) or name not in names:
            raise ValueError(
                f"Expected `{argument}` to be one of {', '.join(map(repr, names))}. "
                f"Received: {argument}={name!r}."
            )


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
    raise ValueError(
        f"Expected positions within {limit:.4g} bandwidths of the origin. Received: a position at "
        f"distance {reach:.4g}. Use larger bandwidths, or shift the positions towards the origin."
    )
