"""From points to the simplices of the permutohedral lattice around them: keys and weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def simplices(ops: Any, positions: Any) -> tuple[list[Any], Any]:
    """The simplex around each point: the keys of its corners and its barycentric weights.

    positions: (P, F). Returns F key columns (F + 1, P) int32, and weights (F + 1, P) float32. The
    key of a vertex is its first F coordinates; the last is implied, since all sum to zero.
    """
    features = positions.shape[-1]
    corners = features + 1
    elevated = _elevate(ops, positions)  # (F + 1, P)

    # The nearest vertex of remainder 0: all coordinates are multiples of F + 1.
    nearest = ops.round(elevated * (1.0 / corners))
    excess = elevated - nearest * corners
    off_plane = ops.cast(ops.sum(nearest, axis=0), "int32")  # (P,)
    rank = ops.stack(
        [
            ops.sum(ops.cast(excess[i + 1 :] > excess[i], "int32"), axis=0)
            + ops.sum(ops.cast(excess[:i] >= excess[i], "int32"), axis=0)
            for i in range(corners)
        ]
    )
    # Rounding each coordinate by itself may leave the plane of zero sum: move the coordinates that
    # were rounded most.
    rank = ops.cast(rank, "int32") + off_plane
    move = ops.cast(rank < 0, "int32") - ops.cast(rank > features, "int32")
    rank = rank + move * corners
    nearest = ops.cast(nearest, "int32") + move  # in units of F + 1

    offset = (elevated - ops.cast(nearest, "float32") * corners) * (1.0 / corners)
    by_rank = [ops.sum(ops.where(rank == r, offset, 0.0), axis=0) for r in range(corners)]
    weights = [1.0 + by_rank[features] - by_rank[0]]
    weights += [by_rank[features - k] - by_rank[corners - k] for k in range(1, corners)]

    # The corner of remainder k adds k to every coordinate, less F + 1 to the k of the highest rank.
    remainder = ops.reshape(ops.arange(corners, dtype="int32"), (-1, 1))  # (F + 1, 1)
    keys = [
        corners * (nearest[i] - ops.cast(rank[i] > features - remainder, "int32")) + remainder
        for i in range(features)
    ]
    return keys, ops.stack(weights)


def _elevate(ops: Any, positions: Any) -> Any:
    """(P, F) positions to (F + 1, P) coordinates on the hyperplane of zero sum.

    The order of additions is that of the reference implementations, so that points on the boundary
    of two simplices fall to the same side.
    """
    features = positions.shape[-1]
    # Splat, blur and slice together have the variance 2/3 (F+1)^2 in lattice units, so that a unit
    # Gaussian needs the factor (F+1) sqrt(2/3); 1 / sqrt((i+1)(i+2)) normalises the triangular
    # basis of the hyperplane (Adams et al., section 3.1).
    std_dev = float(np.float32((features + 1) * math.sqrt(2.0 / 3.0)))
    total = ops.zeros_like(positions[:, 0])
    elevated = []
    for j in range(features, 0, -1):
        scaled = positions[:, j - 1] * float(np.float32(std_dev / math.sqrt(j * (j + 1))))
        elevated.append(total - j * scaled)
        total = total + scaled
    return ops.stack([total, *reversed(elevated)])
