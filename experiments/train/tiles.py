"""Large images seen by a network in overlapping tiles, whose answers are blended.

A network knows less of a point near the border of what it sees. So tiles overlap by half or more,
and what each says of a point counts in proportion to how far from the tile's border that point is,
along one axis times along the other: nearly all of what is said of it comes from tiles in whose
middle it is. Probabilities are averaged, not logits, which one tile that is very sure would decide.
An image that fits in a tile is one tile, and what is said of it is the same as without tiles.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np


def blended(
    probabilities: Callable[[np.ndarray], np.ndarray], images: np.ndarray, side: int
) -> np.ndarray:
    """Probabilities of images, from those of their tiles.

    Args:
        probabilities: of images (B, *s, K), (B, *s, L).
        images: (B, *S, K), of any number of axes.
        side: of a tile, in points.

    Returns:
        (B, *S, L).

    Example:
        >>> images = np.arange(35.0).reshape(1, 5, 7, 1)
        >>> bool(np.allclose(blended(lambda tiles: 2 * tiles, images, side=4), 2 * images))
        True
    """
    size = images.shape[1:-1]
    total, weights = None, np.zeros((*size, 1), np.float32)
    for window in windows(size, side):
        everywhere = (slice(None), *window)
        found = probabilities(images[everywhere])
        if total is None:
            total = np.zeros((*images.shape[:-1], found.shape[-1]), np.float32)
        heights = [_hat(part.stop - part.start) for part in window]
        weight = functools.reduce(np.multiply.outer, heights)[..., None]
        total[everywhere] += weight * found
        weights[window] += weight
    return total / weights


def windows(size: Sequence[int], side: int) -> Iterator[tuple[slice, ...]]:
    """Tiles of equal size that cover an image or volume, overlapping by half a side or more.

    Example:
        >>> [(rows.start, columns.start) for rows, columns in windows((4, 10), side=6)]
        [(0, 0), (0, 2), (0, 4)]
    """
    yield from itertools.product(*(_along(points, min(side, points)) for points in size))


def _along(points: int, side: int) -> list[slice]:
    count = 1 - (side - points) // max(side // 2, 1)  # steps of half a side, rounded up, and one
    starts = np.linspace(0, points - side, count).round().astype(int).tolist()
    return [slice(start, start + side) for start in starts]


def _hat(points: int) -> np.ndarray:
    """(points,): 1, 2, 3, ..., 3, 2, 1."""
    up = np.arange(1, points + 1, dtype=np.float32)
    return np.minimum(up, up[::-1])
