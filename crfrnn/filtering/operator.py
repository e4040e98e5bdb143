"""What the un-normalised filters share: scaling, one filter for many images, gradients, limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from crfrnn.arrays import namespace, with_gradient


class FilterOperator:
    """The linear operator `values -> diag(scale_out) K diag(scale_in) values` on batches.

    A subclass says what K is by `_apply`.

    Args:
        positions: (B, N, F) float32. With B = 1 the one filter serves every image of a larger batch
            of values.
    """

    def __init__(self, positions: Any):
        self.positions = positions

    def __call__(
        self,
        values: Any,
        scale_in: Any = None,
        scale_out: Any = None,
        transposed: bool = False,
    ) -> Any:
        """Filters values.

        Args:
            values: (B, N, C) float32.
            scale_in: (B or 1, N, 1) float32, multiplied with the values before filtering, or None.
            scale_out: the same after filtering.
            transposed: apply the transposed of K.

        Returns:
            (B, N, C) float32; differentiable in values and scales.
        """
        if 0 in values.shape:
            return values
        ops = namespace(values, self.positions)
        if scale_in is not None:
            values = ops.multiply(values, scale_in)
        if self.positions.shape[0] == 1 and values.shape[0] != 1:
            # Images that share their positions are filtered as further channels of one image.
            batch, points, channels = ops.shape(values)
            merged = ops.reshape(ops.transpose(values, (1, 0, 2)), (1, points, batch * channels))
            merged = ops.reshape(self._apply(merged, transposed), (points, batch, channels))
            filtered = ops.transpose(merged, (1, 0, 2))
        else:
            filtered = self._apply(values, transposed)
        return filtered if scale_out is None else ops.multiply(filtered, scale_out)

    def _apply(self, values: Any, transposed: bool) -> Any:
        """K values, or its transposed; values (B, N, C) with the B of the positions."""
        raise NotImplementedError


def symmetric_filter(
    forward: Callable, position_gradient: Callable, values: Any, positions: Any
) -> Any:
    """forward(values, positions) = K(positions) values, with the gradients of a symmetric K.

    Backpropagation through the loops over pairs would keep every K_ij. Instead, for a loss whose
    gradient with respect to K v is g:

        dloss/dv = K g,    dloss/dp_i = sum_j K_ij (g_i . v_j + v_i . g_j) (p_j - p_i),

    the latter being position_gradient(values, upstream, positions).
    """

    def backward(upstream: Any, output: Any, values: Any, positions: Any) -> tuple[Any, Any]:
        del output
        return (
            symmetric_filter(forward, position_gradient, upstream, positions),
            position_gradient(values, upstream, positions),
        )

    ops = namespace(values, positions)
    linear = with_gradient(forward, backward)
    return linear(ops.convert_to_tensor(values), ops.convert_to_tensor(positions))


def position_limit(features: int) -> float:
    """Largest distance of a position from the origin that the lattice can represent, in bandwidths.

    The elevation multiplies lengths by (F+1) sqrt(2/3). Up to 2^20 lattice units, float32 still
    resolves an eighth of a unit, and keys with one step in every direction stay far from the ends
    of 32-bit integers.
    """
    return 2**20 / ((features + 1) * math.sqrt(2 / 3))
