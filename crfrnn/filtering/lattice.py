"""The Gaussian filter on the permutohedral lattice, on any device and backend.

Source: A. Adams, J. Baek, M. A. Davis, "Fast High-Dimensional Filtering Using the Permutohedral
Lattice", Eurographics 2010. Origin, axis order and scale are those of P. Kraehenbuehl's DenseCRF
code, which CRF-as-RNN and pydensecrf share, so that results agree with theirs to rounding.

`build_lattice` goes from points to `simplices`, and from their keys to `vertices`.
"""

from __future__ import annotations

import functools
import operator
from typing import Any, NamedTuple

from crfrnn.arrays import namespace, with_gradient
from crfrnn.filtering.operator import FilterOperator, position_limit
from crfrnn.filtering.simplices import simplices
from crfrnn.filtering.vertices import (
    both_neighbours,
    forward_neighbours,
    number_keys,
    reserve,
)


class Lattice(NamedTuple):
    """A permutohedral lattice as plain arrays, made by `build_lattice`.

    A batch is one lattice: P = B * N points, and the vertices of different images never meet.

    vertex_ids: (F + 1, P) int32, the corners of the simplex around each point, 0..M-1.
    weights: (F + 1, P) float32, their barycentric weights, which sum to 1 for each point.
    neighbours: (F + 1, 2, M + 1) int32, for each axis the vertices one step forward and one step
        back; M where there is none. Row M itself stands for "nothing": its value is always zero.
    """

    vertex_ids: Any
    weights: Any
    neighbours: Any


class LatticeFilter(FilterOperator):
    """Gaussian filter on the permutohedral lattice: K = slice . blur . splat, in keras.ops.

    Built once, applied many times. The transposed, which is also the gradient with respect to the
    values, blurs the axes in the opposite order. On GPUs the order of the sums of a splat, and with
    it the last bits, may differ from run to run. Positions receive no gradient (the derivative of
    the lattice function is not an approximation of the Gaussian's). Where positions are not finite
    or too far from the origin and no error can be raised (compiled code), every result is NaN.

    Args:
        positions: (B, N, F) float32, already divided by the bandwidths.
        capacity: most vertices the lattice may have; bounds memory and work where shapes must be
            known before the vertices are counted (tf.function, jax.jit). Default B N (F + 1), which
            always suffices. Too small a capacity raises ValueError or, where the count is not known
            in time, makes every result NaN.
    """

    def __init__(self, positions: Any, capacity: int | None = None):
        super().__init__(namespace(positions).stop_gradient(positions))
        # Without points there is nothing to filter, and `_apply` is never reached.
        empty = 0 in positions.shape
        self.lattice: Any = None if empty else build_lattice(self.positions, capacity)

    def _apply(self, values: Any, transposed: bool) -> Any:
        values = namespace(values, self.positions).convert_to_tensor(values)
        return _linear(values, self.lattice, transposed)


def _linear(values: Any, lattice: Lattice, transposed: bool) -> Any:
    """`filter_lattice` with the gradient for the values that the transposed gives.

    The lattice goes along as an input: what a function with a gradient of its own has only by its
    closure, JAX cannot differentiate from outside of a compiled function, nor checkpoint.
    """

    def backward(upstream: Any, output: Any, values: Any, *lattice: Any) -> tuple[Any, ...]:
        del output, values
        return _linear(upstream, Lattice(*lattice), not transposed), None, None, None

    def forward(values: Any, *lattice: Any) -> Any:
        return filter_lattice(Lattice(*lattice), values, transposed)

    return with_gradient(forward, backward)(values, *lattice)


def filter_lattice(lattice: Lattice, values: Any, transposed: bool = False) -> Any:
    """Splat, blur along each axis in turn (in the opposite order when transposed), slice.

    values: (B, N, C) float32. Returns (B, N, C).
    """
    ops = namespace(values, lattice.weights)
    vertex_ids, weights, neighbours = (ops.convert_to_tensor(table) for table in lattice)
    shape = ops.shape(values)
    rows = ops.shape(neighbours)[2]  # M + 1
    corners = range(lattice.weights.shape[0])
    flat = ops.reshape(values, (-1, shape[-1]))  # (P, C)

    splats = (
        ops.segment_sum(flat * weights[k][:, None], vertex_ids[k], num_segments=rows)
        for k in corners
    )
    vertices = functools.reduce(operator.add, splats)  # (M + 1, C)
    for j in reversed(corners) if transposed else corners:
        forward = ops.take(vertices, neighbours[j, 0], axis=0)
        back = ops.take(vertices, neighbours[j, 1], axis=0)
        vertices = vertices + 0.5 * (forward + back)
    # Of the factors that make the blurs an average, the reference implementations keep this one.
    weights = weights * (1.0 / (1.0 + 2.0 ** (1 - len(corners))))
    slices = (ops.take(vertices, vertex_ids[k], axis=0) * weights[k][:, None] for k in corners)
    return ops.reshape(functools.reduce(operator.add, slices), shape)


def build_lattice(positions: Any, capacity: int | None = None) -> Lattice:
    """Builds the lattice of a batch of images.

    positions: (B, N, F) float32; capacity: see `LatticeFilter`.
    """
    ops = namespace(positions)
    batch, points, features = ops.shape(positions)
    items = batch * points * (features + 1)
    if isinstance(items, int) and items * (features + 1) >= 2**31:
        raise ValueError(
            "Expected B N (F+1)^2 < 2^31, the reach of the lattice's 32-bit indices. "
            f"Received: positions of shape {tuple(positions.shape)}. Filter fewer images at a time."
        )
    flat = ops.reshape(positions, (-1, features))
    keys, weights = simplices(ops, flat)
    # Compiled code cannot raise; NaN and far positions would else become some vertex or other.
    near = ops.all(ops.sum(ops.square(flat), axis=-1) <= position_limit(features) ** 2)
    weights = ops.where(near, weights, float("nan"))
    image = ops.arange(batch * points, dtype="int32") // points
    keys.append(ops.broadcast_to(image[None], ops.shape(weights)))
    keys = [ops.reshape(key, (-1,)) for key in keys]  # F + 1 columns of I = (F + 1) P items

    vertex_of_item, item_of_vertex, count = number_keys(ops, keys)
    capacity, weights = reserve(ops, count, capacity, ops.shape(vertex_of_item)[0], weights)
    vertex_ids = ops.reshape(ops.minimum(vertex_of_item, capacity), ops.shape(weights))
    count = ops.minimum(count, capacity)
    vertex_keys = [ops.take(key, item_of_vertex[:capacity]) for key in keys]
    forward = forward_neighbours(ops, vertex_keys, count)  # (F + 1, M)
    return Lattice(vertex_ids, weights, both_neighbours(ops, forward))
