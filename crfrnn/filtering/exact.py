"""The Gaussian filter over all pairs of points: what every other method is tested against."""

from __future__ import annotations

import functools
import operator
from typing import Any

from crfrnn.arrays import namespace
from crfrnn.filtering.operator import FilterOperator, symmetric_filter

# Pairs looked at together: 16 MB per float32 array of that many numbers.
_PAIRS_AT_ONCE = 2**22


class ExactFilter(FilterOperator):
    """K_ij = exp(-|p_i - p_j|^2 / 2) for all i, j, including i = j. O(N^2) time, O(N) memory.

    K is symmetric, so it is its own transposed. Differentiable in values and positions. On GPUs
    that multiply matrices in TF32, results carry that precision unless TF32 is turned off in the
    backend.

    Args:
        positions: (B, N, F) float32, already divided by the bandwidths.
    """

    def _apply(self, values: Any, transposed: bool) -> Any:
        del transposed
        return symmetric_filter(_filter, _position_gradient, values, self.positions)


def _filter(values: Any, positions: Any) -> Any:
    ops = namespace(values, positions)

    def rows(own):  # (B, R, F) -> (B, R, C)
        return ops.matmul(_kernel(ops, own, positions), values)

    return _map_rows(ops, rows, positions)


def _position_gradient(values: Any, upstream: Any, positions: Any) -> Any:
    ops = namespace(values, positions)
    features, channels = positions.shape[-1], ops.shape(values)[-1]

    def rows(own):  # (B, R, F + 2C) -> (B, R, F)
        p, v, g = own[..., :features], own[..., features:-channels], own[..., -channels:]
        pairs = ops.matmul(g, ops.transpose(values, (0, 2, 1)))
        pairs = pairs + ops.matmul(v, ops.transpose(upstream, (0, 2, 1)))  # (B, R, N)
        pairs = pairs * _kernel(ops, p, positions)
        differences = (_difference(p, positions, f) for f in range(features))
        return ops.stack([ops.sum(pairs * d, axis=-1) for d in differences], axis=-1)

    return _map_rows(ops, rows, ops.concatenate([positions, values, upstream], axis=-1))


def _difference(own: Any, positions: Any, feature: int) -> Any:
    """p_j - p_i of one feature: (B, R, F), (B, N, F) -> (B, R, N)."""
    return positions[:, None, :, feature] - own[:, :, None, feature]


def _kernel(ops: Any, own: Any, positions: Any) -> Any:
    # Not |p|^2 + |q|^2 - 2 p.q, which cancels for positions far from the origin.
    features = range(positions.shape[-1])
    squares = (ops.square(_difference(own, positions, f)) for f in features)
    squared = functools.reduce(operator.add, squares)
    return ops.exp(-0.5 * squared)  # (B, R, N)


def _map_rows(ops: Any, function: Any, array: Any) -> Any:
    """function (B, R, ...) -> (B, R, ...) on R rows of array (B, N, ...) at a time."""
    batch, points, width = ops.shape(array)
    if isinstance(batch, int) and isinstance(points, int):
        if batch * points**2 <= _PAIRS_AT_ONCE:
            return function(array)
        size = max(1, _PAIRS_AT_ONCE // (batch * points))
    else:
        size = ops.maximum(1, _PAIRS_AT_ONCE // (batch * points))
    blocks = -(-points // size)
    padded = ops.pad(array, ((0, 0), (0, blocks * size - points), (0, 0)))
    padded = ops.reshape(padded, (batch, blocks, size, width))
    out = ops.map(function, ops.transpose(padded, (1, 0, 2, 3)))  # (blocks, B, R, ...)
    out = ops.transpose(out, (1, 0, 2, 3))
    return ops.reshape(out, (batch, blocks * size, out.shape[-1]))[:, :points]
