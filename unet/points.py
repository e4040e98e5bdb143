"""Features at single points, and the choice of points whose label is uncertain (PointRend).

A position is a pair (row, column) in pixels of the image, 0 at the centre of the first pixel. A
feature map of stride s lies over the image as ``ResizeTo`` says: its pixel i is at position
``s i`` with ``align_corners``, and at ``s (i + 1/2) - 1/2`` without. P counts the points to choose
from, N those that are chosen.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


def grid(height: Any, width: Any, stride: int, align_corners: bool) -> Any:
    """Positions of the pixels of a map of a stride.

    Args:
        height, width: of the map, in its own pixels.
        stride, align_corners: see above.

    Returns:
        ``(1, height width, 2)`` float32, rows first.

    Example:
        >>> ops.convert_to_numpy(grid(1, 3, 4, align_corners=False))[0, :, 1].tolist()
        [1.5, 5.5, 9.5]
    """
    index = ops.arange(height * width, dtype="int32")
    pixel = ops.cast(ops.stack([index // width, index % width], axis=-1), "float32")
    centre = 0.0 if align_corners else 0.5
    return ((pixel + centre) * stride - centre)[None]


def sample(features: Any, positions: Any, stride: int, align_corners: bool) -> Any:
    """Interpolate features bilinearly at positions; beyond the outermost pixels they are constant.

    Args:
        features: ``(B, h, w, C)`` of a stride.
        positions: ``(B, N, 2)``, or ``(1, N, 2)`` where they are the same for all images.
        stride, align_corners: see above.

    Returns:
        ``(B, N, C)``.

    Example:
        >>> row = ops.reshape(ops.convert_to_tensor([0.0, 8.0]), (1, 1, 2, 1))
        >>> at = ops.convert_to_tensor([[[0.0, 1.0]]])  # row 0, column 1
        >>> float(sample(row, at, stride=4, align_corners=True)[0, 0, 0])
        2.0
    """
    _, height, width, channels = ops.shape(features)
    centre = 0.0 if align_corners else 0.5
    at = (positions + centre) / stride - centre
    rows, row = _neighbours(at[..., 0], height)
    columns, column = _neighbours(at[..., 1], width)
    values = ops.reshape(features, (-1, height * width, channels))
    total = 0.0
    for i, row_weight in zip(rows, (1 - row, row), strict=True):
        for j, column_weight in zip(columns, (1 - column, column), strict=True):
            weight = ops.cast(row_weight * column_weight, features.dtype)[..., None]
            total = total + weight * take(values, i * width + j)
    return total


def _neighbours(at: Any, size: Any) -> tuple[tuple[Any, Any], Any]:
    """Pixels before and after each coordinate, and how far it is on the way to the second."""
    at = ops.clip(at, 0.0, ops.cast(size - 1, at.dtype))
    before = ops.floor(at)
    first = ops.cast(before, "int32")
    return (first, ops.minimum(first + 1, size - 1)), at - before


def take(values: Any, indices: Any) -> Any:
    """Entries of each image: ``(B, P, ...)`` and indices ``(B or 1, N)`` to ``(B, N, ...)``.

    Example:
        >>> ops.convert_to_numpy(take(ops.ones((2, 5, 3)), ops.zeros((1, 4), "int32"))).shape
        (2, 4, 3)
    """
    batch, points, *rest = ops.shape(values)
    return ops.take(ops.reshape(values, (-1, *rest)), _flat(indices, batch, points), axis=0)


def replace(values: Any, indices: Any, new: Any) -> Any:
    """Put new entries into each image: ``(B, P, C)``, indices ``(B, N)``, no two equal, and
    ``(B, N, C)`` to ``(B, P, C)``.

    Example:
        >>> values = replace(ops.zeros((1, 3, 1)), ops.ones((1, 1), "int32"), ops.ones((1, 1, 1)))
        >>> ops.convert_to_numpy(values)[0, :, 0].tolist()
        [0.0, 1.0, 0.0]
    """
    batch, points, channels = ops.shape(values)
    where = ops.reshape(_flat(indices, batch, points), (-1, 1))
    flat = ops.reshape(values, (-1, channels))
    flat = ops.scatter_update(flat, where, ops.reshape(new, (-1, channels)))
    return ops.reshape(flat, (-1, points, channels))


def _flat(indices: Any, batch: Any, points: Any) -> Any:
    """Indices into the entries of all images, one image after the other."""
    return indices + ops.arange(batch, dtype="int32")[:, None] * points


def uncertainty(logits: Any) -> Any:
    """How close the two most likely labels are: minus the difference of their logits, <= 0.

    Args:
        logits: ``(..., L)``; one sigmoid channel (L = 1) is the difference of two labels.

    Returns:
        ``(...)``.

    Example:
        >>> float(uncertainty(ops.convert_to_tensor([1.0, 5.0, 3.0])))
        -2.0
    """
    if logits.shape[-1] == 1:
        return -ops.abs(logits[..., 0])
    two = ops.top_k(logits, 2)[0]
    return two[..., 1] - two[..., 0]


def most_uncertain(uncertainties: Any, num_points: int) -> Any:
    """Indices of the N most uncertain points, as int32.

    Args:
        uncertainties: ``(B, P)``.
        num_points: N, or all P where those are fewer.

    Returns:
        ``(B, N)``.

    Example:
        >>> ops.convert_to_numpy(most_uncertain(ops.convert_to_tensor([[-3.0, -1.0]]), 1)).tolist()
        [[1]]
    """
    num_points = _smaller(num_points, ops.shape(uncertainties)[1])
    return ops.cast(ops.top_k(uncertainties, num_points)[1], "int32")


def choose(
    uncertainties: Any, num_points: int, oversampling: int, importance: float, seed: Any
) -> Any:
    """Choose points for training: mostly uncertain ones, the rest anywhere.

    ``oversampling * N`` candidates are drawn from a uniform distribution; the
    ``importance * N`` (rounded up) most uncertain of them are kept, and the rest of the N points
    is drawn from a uniform distribution again. No point is drawn twice.

    Args:
        uncertainties: ``(B, P)``.
        num_points: N, or all P where those are fewer.
        oversampling: k >= 1.
        importance: beta, in (0, 1].
        seed: as for ``keras.random.uniform``.

    Returns:
        ``(B, N)`` indices of points, int32.

    Reference:
        - [PointRend](https://arxiv.org/abs/1912.08193), section 3.1

    Example:
        >>> chosen = choose(ops.zeros((2, 35)), 8, oversampling=3, importance=0.75, seed=0)
        >>> len(set(ops.convert_to_numpy(chosen)[0].tolist()))
        8
    """
    total = ops.shape(uncertainties)[1]
    num_points = _smaller(num_points, total)
    if isinstance(num_points, int):
        num_important = math.ceil(importance * num_points)
    else:
        num_important = ops.cast(ops.ceil(importance * ops.cast(num_points, "float32")), "int32")
    num_rest = num_points - num_important
    num_candidates = _smaller(oversampling * num_points, total - num_rest)

    # The places of the largest of P random numbers: a sample without repetition, in random order.
    numbers = keras.random.uniform(ops.shape(uncertainties), seed=seed)
    drawn = most_uncertain(numbers, num_candidates + num_rest)
    candidates, rest = drawn[:, :num_candidates], drawn[:, num_candidates:]
    important = most_uncertain(take(uncertainties, candidates), num_important)
    return ops.concatenate([take(candidates, important), rest], axis=1)


def _smaller(a: Any, b: Any) -> Any:
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else ops.minimum(a, b)
