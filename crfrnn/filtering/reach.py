"""How far the lattice's kernel reaches. It is zero beyond: parts of an image can be exact."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# Splat, the blurs and slice, as extents of a simplex along one axis. Between a point and a corner
# of its simplex lies at most one extent: splat and slice one each. The blurs step once in each of
# the F + 1 directions; along one axis the steps forward among them add up to one extent, those
# backward to another.
_EXTENTS = 4


def reach(axes: int) -> tuple[float, ...]:
    """How far the lattice's kernel reaches along each axis of a grid, in bandwidths theta.

    The value of a point depends on no point that is farther away along any of the axes, be it by
    its value or by the vertices that it lends the lattice; whatever the intensities and however
    many channels they have.

    Along feature f = 0, 1, ... (last axis of the grid first) a simplex of the lattice extends over
    (F + 1) sqrt((f + 1) / (f + 2)) lattice units, which are (F + 1) sqrt(2/3) to a bandwidth; F
    cancels. The kernel's reach is four times that: 3.46, 4.00, 4.24 bandwidths for f = 0, 1, 2.

    Args:
        axes: of the grid, 1 or more.

    Returns:
        One number per axis, in the order of the grid.

    Reference:
        A. Adams, J. Baek, M. A. Davis, "Fast High-Dimensional Filtering Using the Permutohedral
        Lattice", Eurographics 2010, section 3: the elevation and the simplices.

    Example:

    >>> [round(number, 2) for number in reach(2)]  # (H, W)
    [4.0, 3.46]
    """
    features = reversed(range(axes))
    return tuple(_EXTENTS * math.sqrt(1.5 * (f + 1) / (f + 2)) for f in features)


def reach_in_points(theta: Any, spacing: Any, axes: int) -> tuple[int, ...]:
    """`reach` in points of the grid, rounded up, and one more for the rounding of positions.

    Args:
        theta: of the spatial axes: a number, or one per axis.
        spacing: distance of neighbouring points; None: 1.
        axes: of the grid.

    Example:

    >>> reach_in_points(10.0, (1.0, 0.5), 2)
    (41, 71)
    """
    steps = np.broadcast_to(1.0 if spacing is None else spacing, axes)
    thetas = np.broadcast_to(theta, axes)
    each = zip(reach(axes), thetas, steps, strict=True)
    # The positions are float32: a product with theta may round up over a whole number.
    return tuple(math.ceil(round(r * t / step, 6)) + 1 for r, t, step in each)
