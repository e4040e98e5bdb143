"""From an image and bandwidths to positions: the points between which the Gaussian kernels measure.

A kernel `exp(-|p_i - p_j|^2 / 2)` needs one position per point of the image, already divided by the
bandwidths. The spatial kernel looks at where a point is, the bilateral kernel also at its
intensities (Krahenbuhl and Koltun 2011, equation 3).

The last axis of the grid comes first: x, y, then the channels. The permutohedral lattice blurs one
axis after the other, so it is not symmetric in the order of the features; this is the order of
pydensecrf and of the older CRF-RNN layers, and with it their results are reproduced to rounding.
"""

import math
from collections.abc import Sequence
from typing import Any

from crfrnn.arrays import namespace


def spatial_positions(
    grid: Sequence[Any],
    theta: Any,
    spacing: Any = None,
    ops: Any = None,
    *,
    coordinates: Any = None,
    origin: Sequence[int] | None = None,
) -> Any:
    """Positions of the points of a regular grid, or of a cloud, in units of the bandwidth.

    Args:
        grid: sizes of the grid, (H, W), (D, H, W) or (N,).
        theta: bandwidth, positive: a number, or one number per axis in the order of `grid`. In
            points, or in the unit of `spacing`.
        spacing: distance of neighbouring points along each axis, in the order of `grid`; default 1.
        ops: the namespace that makes the positions, `arrays` or `keras.ops`; default: that of
            `theta`.
        coordinates: (N, S), where N points that form no grid are; `grid` and `spacing` do not
            matter then.
        origin: where the grid begins in a larger one of which it is a part, in points, one number
            per axis; its positions are those of the larger one, bit by bit. None: it is no part.

    Returns:
        float32 array (1, N, S), last axis of the grid first; N points in row-major order.

    Example:

    >>> spatial_positions((1, 3), theta=2.0, spacing=(1.0, 4.0))[0]
    array([[0., 0.],
           [2., 0.],
           [4., 0.]], dtype=float32)
    """
    ops = ops or namespace(theta)
    axes = _axes(grid, spacing, coordinates, ops, origin)
    return _stack(axes, [], spatial_bandwidths(theta, len(axes), ops), (1, *grid), ops)


def bilateral_positions(
    image: Any,
    theta_alpha: Any,
    theta_beta: Any,
    spacing: Any = None,
    *,
    coordinates: Any = None,
    origin: Sequence[int] | None = None,
) -> Any:
    """Positions of the points of an image in space and intensity, in units of the bandwidths.

    Args:
        image: (B, *S, K), any number of channels K >= 1, any real dtype; S is (H, W), (D, H, W) or
            (N,).
        theta_alpha: spatial bandwidth: a number or one number per axis; see `spatial_positions`.
        theta_beta: intensity bandwidth, positive, in the image's own intensity units: a number or
            one number per channel.
        spacing: distance of neighbouring points along each axis; default 1.
        coordinates: (N, S), where the points of images (B, N, K) without a grid are; see
            `spatial_positions`.
        origin: where images that are parts of larger ones begin there; see `spatial_positions`.

    Returns:
        float32 array (B, N, S + K): the coordinates, last axis first, then the channels.

    Example:

    >>> import numpy as np
    >>> image = np.array([[[[30.0], [60.0]]]])  # B = 1, H = 1, W = 2, K = 1
    >>> bilateral_positions(image, theta_alpha=2.0, theta_beta=10.0)[0]
    array([[0. , 0. , 3. ],
           [0.5, 0. , 6. ]], dtype=float32)
    """
    ops = namespace(image, theta_alpha, theta_beta)
    batch, *grid, _ = ops.shape(image)
    axes = _axes(grid, spacing, coordinates, ops, origin)
    channels = image.shape[-1]
    bandwidths = bilateral_bandwidths(theta_alpha, theta_beta, len(axes), channels, ops)
    image = ops.cast(image, "float32")
    intensities = [image[..., k] for k in range(channels)]
    return _stack(axes, intensities, bandwidths, (batch, *grid), ops)


def spatial_bandwidths(theta: Any, axes: int, ops: Any) -> Any:
    """The bandwidth of each feature of `spatial_positions`, (S,): last axis of the grid first."""
    return _per_axis(theta, axes, ops)


def bilateral_bandwidths(
    theta_alpha: Any, theta_beta: Any, axes: int, channels: int, ops: Any
) -> Any:
    """The bandwidth of each feature of `bilateral_positions`, (S + K,)."""
    in_space = spatial_bandwidths(theta_alpha, axes, ops)
    in_intensity = _vector(theta_beta, channels, ops)
    return ops.concatenate([in_space, in_intensity], axis=0)


def _axes(
    grid: Sequence[Any], spacing: Any, coordinates: Any, ops: Any, origin: Sequence[int] | None
) -> list[Any]:
    """The coordinates of the points in the unit of `spacing`, last axis of the grid first.

    One array per axis, (N,) or, on a grid, of a shape that broadcasts to the grid.
    """
    if coordinates is not None:
        columns = ops.cast(coordinates, "float32")
        return [columns[:, axis] for axis in reversed(range(columns.shape[1]))]
    spacing = _per_axis(1.0 if spacing is None else spacing, len(grid), ops)
    # Whole numbers, exact in float32 up to 2^24.
    along = [ops.arange(size, dtype="float32") for size in reversed(grid)]
    if origin is not None:
        along = [p + float(first) for p, first in zip(along, reversed(origin), strict=True)]
    return [ops.reshape(p * spacing[i], (-1,) + (1,) * i) for i, p in enumerate(along)]


def _stack(axes: list[Any], intensities: list[Any], bandwidths: Any, shape: Any, ops: Any) -> Any:
    """Features of all points of images (B, *S), divided by their bandwidths: (B, N, F)."""
    # Compilers (XLA, TensorFlow's graph optimiser) turn a division by constants into this product.
    # Positions that differ in the last bit can fall into different cells of the lattice, so it is
    # done everywhere: then NumPy, eager and compiled calls agree.
    inverse = 1.0 / bandwidths
    features = [
        ops.broadcast_to(feature * inverse[f], shape)
        for f, feature in enumerate([*axes, *intensities])
    ]
    batch, *grid = shape
    return ops.reshape(ops.stack(features, axis=-1), (batch, math.prod(grid), len(features)))


def _per_axis(value: Any, axes: int, ops: Any) -> Any:
    """One number per axis of the grid, in the order of the features: last axis first."""
    return ops.flip(_vector(value, axes, ops), axis=0)


def _vector(value: Any, size: int, ops: Any) -> Any:
    return ops.broadcast_to(ops.cast(value, "float32"), (size,))
