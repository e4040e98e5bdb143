"""Probabilities at a network's own stride, brought to the size of the image."""

from __future__ import annotations

import numpy as np

_PIECE = 64  # new points that are made together, by a matrix of the few old ones around them


def upsample(array: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Linear interpolation between the centres of points, along one axis after the other.

    Pixels are areas whose centres are at half numbers, and beyond the outermost centres values stay
    the same: as in PyTorch's `interpolate(mode="bilinear", align_corners=False)`, `tf.image.resize`
    and OpenCV's INTER_LINEAR. Every value is a mean of values that were there, so probabilities sum
    to 1 afterwards, and none is larger than before.

    Args:
        array: (*s, C), any real dtype.
        grid: S, as many axes as s.

    Returns:
        (*S, C) float32.

    Example:

    >>> upsample(np.array([[[0.0], [1.0]]]), (1, 4))[0, :, 0]
    array([0.  , 0.25, 0.75, 1.  ], dtype=float32)
    """
    result = np.ascontiguousarray(array, np.float32)
    for axis, size in enumerate(grid):
        before, (old, *after) = result.shape[:axis], result.shape[axis:]
        if size != old:
            rows, shares = result.reshape(*before, old, -1), interpolation(old, size)
            new = np.empty((*before, size, rows.shape[-1]), np.float32)
            for start in range(0, size, _PIECE):
                piece = slice(start, start + _PIECE)
                some = np.flatnonzero(shares[piece].any(0))
                near = slice(some[0], some[-1] + 1)
                np.matmul(shares[piece, near], rows[..., near, :], out=new[..., piece, :])
            result = new.reshape(*before, size, *after)
    return result


def in_proportion(small: tuple[int, ...], grid: tuple[int, ...]) -> bool:
    """Whether a grid may be that of a network whose image is `grid`: within one of its points.

    Example:

    >>> in_proportion((33, 44), (256, 348)), in_proportion((44, 33), (256, 348))
    (True, False)
    """
    if len(small) != len(grid) or any(s > n for s, n in zip(small, grid, strict=True)):
        return False
    least = max(n / (s + 1) for s, n in zip(small, grid, strict=True))  # strides that would do
    return all(s == 1 or least <= n / (s - 1) for s, n in zip(small, grid, strict=True))


def interpolation(old: int, size: int) -> np.ndarray:
    """(size, old): what each new point takes of the old ones."""
    where = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
    left = np.minimum(where.astype(int), max(old - 2, 0))
    shares = np.zeros((size, old), np.float32)
    rows = np.arange(size)
    shares[rows, left] = 1 - (where - left)
    if old > 1:
        shares[rows, left + 1] = where - left
    return shares
