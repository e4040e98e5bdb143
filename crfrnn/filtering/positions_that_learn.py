"""Lattice filters that pass a gradient to their positions.

As for the bandwidths (see `crfrnn.filtering.bandwidths`), it is not the derivative of the lattice
function, which is noise, but that of the Gaussian that the lattice stands for. For y = K v,
K_ij = exp(-|p_i - p_j|^2 / 2), and g = dloss/dy,

    dloss/dp_i = sum_j K_ij (g_i . v_j + v_i . g_j) (p_j - p_i)

With the difference multiplied out, both halves are the filter that is there, K and its transposed,
applied to moments:

    sum_c g_ic (K v_c p)_i - p_i (g_i . (K v)_i) + sum_c v_ic (K^T g_c p)_i - p_i (v_i . (K^T g)_i)

Were K exact, so would be the gradient. It is K without normalisation: the norms are K 1, and
automatic differentiation puts the rest together.
"""

from __future__ import annotations

import functools
from typing import Any

from crfrnn.arrays import namespace, with_gradient
from crfrnn.filtering.operator import FilterOperator


class PositionsThatLearn(FilterOperator):
    """An operator between fixed positions, which passes a gradient to the given ones.

    Args:
        operator: K between the positions, taken as constants; see `crfrnn.filtering.operator`.
        positions: (B, N, F) float32, which receive the gradient.
        first: the first feature that receives one; those before it, such as the coordinates of a
            grid, cost nothing. Each of the others costs C more channels forward and C backward, in
            the backward pass.
    """

    def __init__(self, operator: Any, positions: Any, first: int = 0):
        super().__init__(positions)
        self.operator = operator
        self.first = first

    def _apply(self, values: Any, transposed: bool) -> Any:
        there = functools.partial(self.operator, transposed=transposed)
        back = functools.partial(self.operator, transposed=not transposed)

        def backward(upstream: Any, filtered: Any, values: Any, positions: Any) -> tuple[Any, Any]:
            ops = namespace(values, positions)
            d_values = back(upstream)
            # The differences do not depend on the origin. Near the mean, the least digits cancel.
            p = positions[..., self.first :]
            p = p - ops.mean(p, axis=1, keepdims=True)  # (B, N, F - first)
            at = ops.sum(upstream * filtered + values * d_values, axis=-1, keepdims=True)
            d_positions = moments(there, values, p, upstream) + moments(back, upstream, p, values)
            still = ops.zeros_like(positions[..., : self.first])
            return d_values, ops.concatenate([still, d_positions - at * p], axis=-1)

        ops = namespace(values, self.positions)
        linear = with_gradient(lambda values, positions: there(values), backward)
        return linear(ops.convert_to_tensor(values), ops.convert_to_tensor(self.positions))


def moments(kernel: Any, values: Any, p: Any, against: Any) -> Any:
    """sum_c against_c (K values_c p_f) for each feature f.

    Args:
        kernel: K, a function of (B, N, C) to (B, N, C).
        values, against: (B, N, C).
        p: (B, N, F).

    Returns:
        (B, N, F).
    """
    ops = namespace(values, p)
    batch, points, channels = ops.shape(values)
    products = p[..., None] * values[:, :, None]  # (B, N, F, C)
    products = kernel(ops.reshape(products, (batch, points, p.shape[-1] * channels)))
    products = ops.reshape(products, (batch, points, p.shape[-1], channels))
    return ops.sum(against[:, :, None] * products, axis=-1)


def scaled_by(positions: Any, bandwidths: Any) -> Any:
    """The positions, of which the bandwidths that they were divided by receive a gradient, too.

    As d p_f / d theta_f = -p_f / theta_f, it is that of the positions, summed. A shift of all
    positions changes no Gaussian, so p is centred first: with the lattice, whose gradients sum to
    zero only nearly, far positions would multiply that error.

    Args:
        positions: (B, N, F), divided by constants of the values of the bandwidths.
        bandwidths: (F,) tensor.

    Returns:
        (B, N, F), the positions.
    """

    def backward(upstream: Any, output: Any, positions: Any, bandwidths: Any) -> tuple[Any, Any]:
        del output
        ops = namespace(positions, bandwidths)
        p = positions - ops.mean(positions, axis=1, keepdims=True)
        return upstream, -ops.sum(upstream * p, axis=(0, 1)) / bandwidths

    return with_gradient(lambda positions, bandwidths: positions, backward)(positions, bandwidths)
