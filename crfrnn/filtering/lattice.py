"""The Gaussian filter on the permutohedral lattice, on any device and backend.

Source: A. Adams, J. Baek, M. A. Davis, "Fast High-Dimensional Filtering Using the Permutohedral
Lattice", Eurographics 2010. Origin, axis order and scale are those of P. Kraehenbuehl's DenseCRF
code, which CRF-as-RNN and pydensecrf share, so that results agree with theirs to rounding.

`build_lattice` works in static shapes and 32-bit integers only, so it compiles under XLA. The hash
table of the paper is replaced by one sort: equal keys meet as neighbours in the sorted list.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Any, NamedTuple

import numpy as np

from crfrnn.arrays import concrete, namespace
from crfrnn.filtering.operator import FilterOperator, position_limit


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
    the lattice function is not an approximation of the Gaussian's). Where positions are not finite or
    too far from the origin and no error can be raised (compiled code), every result is NaN.

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
        ops = namespace(values, self.lattice.weights)

        @ops.custom_gradient
        def linear(values):
            def gradient(*args, upstream=None):
                if upstream is None:
                    (upstream,) = args
                return self._apply(upstream, not transposed)

            return filter_lattice(self.lattice, values, transposed), gradient

        return linear(values)


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
    keys, weights = _simplices(ops, flat)
    # Compiled code cannot raise; NaN and far positions would else become some vertex or other.
    near = ops.all(ops.sum(ops.square(flat), axis=-1) <= position_limit(features) ** 2)
    weights = ops.where(near, weights, float("nan"))
    image = ops.arange(batch * points, dtype="int32") // points
    keys.append(ops.broadcast_to(image[None], ops.shape(weights)))
    keys = [ops.reshape(key, (-1,)) for key in keys]  # F + 1 columns of I = (F + 1) P items

    vertex_of_item, item_of_vertex, count = _number_keys(ops, keys)
    capacity, weights = _reserve(ops, count, capacity, ops.shape(vertex_of_item)[0], weights)
    vertex_ids = ops.reshape(ops.minimum(vertex_of_item, capacity), ops.shape(weights))
    count = ops.minimum(count, capacity)
    vertex_keys = [ops.take(key, item_of_vertex[:capacity]) for key in keys]
    forward = _forward_neighbours(ops, vertex_keys, count)  # (F + 1, M)
    return Lattice(vertex_ids, weights, _both_neighbours(ops, forward))


# ---- Points to simplices -----------------------------------------------------------------------


def _simplices(ops: Any, positions: Any) -> tuple[list[Any], Any]:
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


# ---- Keys to vertices --------------------------------------------------------------------------


def _multipliers(columns: int) -> list[int]:
    """Odd constants of the linear hash sum_c multiplier_c key_c (mod 2^32), as signed integers.

    A linear hash makes that of a neighbour the own one plus a constant. Powers of 2^32 / golden
    ratio spread small integers over the whole range.
    """
    powers = (pow(0x9E3779B1, c + 1, 2**32) for c in range(columns))
    return [_signed(power) for power in powers]


def _signed(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31


def _hash(keys: list[Any]) -> Any:
    products = (key * m for key, m in zip(keys, _multipliers(len(keys)), strict=True))
    return functools.reduce(operator.add, products)


def _number_keys(ops: Any, keys: list[Any]) -> tuple[Any, Any, Any]:
    """Numbers equal keys alike, in the order of their hashes.

    keys: columns (I,) int32. Returns the number of each item (I,), an item of each number (I,), and
    how many numbers were given out, all int32.
    """
    items = ops.shape(keys[0])[0]
    hashes = _hash(keys)
    order = ops.cast(ops.argsort(hashes), "int32")
    hashes = ops.take(hashes, order)
    rows = ops.take(ops.stack(keys, axis=-1), order, axis=0)  # (I, F + 1), by hash
    place = ops.arange(items, dtype="int32")

    first = ops.ones_like(hashes[:1])
    starts = ops.concatenate([first, ops.cast(hashes[1:] != hashes[:-1], "int32")], axis=0)
    run = ops.cumsum(starts, axis=0, dtype="int32") - 1  # which run of equal hashes

    # Rarely, different keys share a hash. Then `turn` tells them apart within their run: the items
    # that differ from some leader of their turn move on to the next turn, until all agree.
    def disagreeing(turn, t):
        speakers = ops.where(turn == t, run, items)  # the others write to a place that nobody reads
        leader = ops.scatter_update(ops.zeros_like(places), speakers[:, None], place)
        agrees = ops.all(rows == ops.take(rows, ops.take(leader, run), axis=0), axis=-1)
        return ops.logical_and(turn == t, ops.logical_not(agrees))

    def next_turn(t, turn, turns, collided):
        moves = disagreeing(turn, t)
        turn = turn + ops.cast(moves, "int32")
        movers = ops.where(moves, run, items)
        turns = ops.scatter_update(turns, movers[:, None], ops.ones_like(run) * (t + 2))
        return t + 1, turn, turns, ops.any(moves)

    places = ops.arange(items + 1, dtype="int32")
    turns = ops.ones_like(places)
    same_key = ops.all(rows[1:] == rows[:-1], axis=-1)
    collided = ops.any(ops.logical_and(starts[1:] == 0, ops.logical_not(same_key)))
    zero = ops.zeros_like(run[0])
    _, turn, turns, _ = _while(
        ops,
        lambda t, turn, turns, collided: collided,
        next_turn,
        (zero, ops.zeros_like(run), turns, collided),
    )

    before = ops.cumsum(turns, axis=0, dtype="int32") - turns
    number = ops.take(before, run) + turn  # (I,)
    number_of_item = ops.scatter_update(ops.zeros_like(order), order[:, None], number)
    item_of_number = ops.scatter_update(ops.zeros_like(order), number[:, None], order)
    return number_of_item, item_of_number, ops.max(number) + 1


def _reserve(
    ops: Any, count: Any, capacity: int | None, bound: Any, weights: Any
) -> tuple[Any, Any]:
    """Rows to reserve for `count` vertices, and the weights, which become NaN if those are few."""
    known = concrete(count)
    if known is None:
        if capacity is None:
            return bound, weights
        return capacity, ops.where(count <= capacity, weights, float("nan"))
    if capacity is not None and known > capacity:
        raise ValueError(
            f"Expected a lattice of at most capacity={capacity} vertices. "
            f"Received positions that need {known}. Raise the capacity or the bandwidths."
        )
    # In steps of an eighth of its size or less, so that similar images share compiled code.
    step = 2 ** max(8, int(known).bit_length() - 4)
    return min(-(-int(known) // step) * step, bound), weights


def _forward_neighbours(ops: Any, keys: list[Any], count: Any) -> Any:
    """The vertex one step forward along each axis, or M where there is none.

    keys: F + 1 columns (M,), by hash; only the first `count` are vertices. Returns (F + 1, M)
    int32.
    """
    capacity = ops.shape(keys[0])[0]
    features = len(keys) - 1
    # A step along axis j adds 1 to all coordinates and subtracts F + 1 from coordinate j; the last
    # coordinate is not in the key, and the image stays.
    steps = np.ones((features + 1, features + 1), np.int32)  # (axis, column)
    steps[range(features), range(features)] -= features + 1
    steps[:, -1] = 0
    step_hashes = [
        _signed(sum(int(s) * m for s, m in zip(step, _multipliers(features + 1), strict=True)))
        for step in steps
    ]
    hashes = _hash(keys)
    wanted = hashes + ops.reshape(ops.convert_to_tensor(step_hashes, "int32"), (-1, 1))

    def halve(below, stride):  # `below` of the hashes are known to be less than the wanted
        trial = below + stride
        last = ops.take(hashes, ops.minimum(trial, capacity) - 1)
        less = ops.logical_and(trial <= count, last < wanted)
        return ops.where(less, trial, below), stride // 2

    rounds = capacity.bit_length() if isinstance(capacity, int) else 31
    stride = ops.ones_like(hashes[0]) * 2 ** (rounds - 1)
    below, _ = _while(
        ops, lambda below, stride: stride > 0, halve, (ops.zeros_like(wanted), stride)
    )

    # Vertices of equal hash stand side by side: go through them until the whole key is found.
    def confirm(place, *_):
        inside = ops.minimum(place, capacity - 1)
        same_hash = ops.logical_and(place < count, ops.take(hashes, inside) == wanted)
        found = same_hash
        for column, step in zip(keys, steps.T, strict=True):
            target = column + ops.reshape(ops.convert_to_tensor(step), (-1, 1))
            found = ops.logical_and(found, ops.take(column, inside) == target)
        searching = ops.logical_and(same_hash, ops.logical_not(found))
        return ops.where(searching, place + 1, place), found, searching

    everywhere = below >= 0
    place, found, _ = _while(
        ops,
        lambda place, found, searching: ops.any(searching),
        confirm,
        (below, ops.logical_not(everywhere), everywhere),
    )
    exists = ops.arange(capacity, dtype="int32") < count
    return ops.where(ops.logical_and(found, exists), place, capacity)


def _while(ops: Any, cond: Any, body: Any, state: tuple) -> tuple:
    """ops.while_loop, but in Python outside of traced code: there JAX compiles each loop anew."""
    while (goes_on := concrete(cond(*state))) is not None:
        if not goes_on:
            return state
        state = body(*state)
    return ops.while_loop(cond, body, state)


def _both_neighbours(ops: Any, forward: Any) -> Any:
    """Adds the steps back, which are the inverse of the steps forward, and the row of nothing.

    forward: (F + 1, M) int32. Returns (F + 1, 2, M + 1) int32.
    """
    axes, capacity = ops.shape(forward)
    rows = capacity + 1
    nothing = ops.zeros_like(forward[:, :1]) + capacity  # (F + 1, 1)
    forward = ops.concatenate([forward, nothing], axis=1)  # (F + 1, M + 1)
    place = ops.arange(rows, dtype="int32")
    axis = ops.reshape(ops.arange(axes, dtype="int32"), (-1, 1))
    target = ops.reshape(forward + axis * rows, (-1, 1))
    source = ops.reshape(ops.broadcast_to(place, (axes, rows)), (-1,))
    back = ops.scatter_update(ops.zeros_like(source) + capacity, target, source)
    back = ops.concatenate([ops.reshape(back, (axes, rows))[:, :capacity], nothing], axis=1)
    return ops.stack([forward, back], axis=1)
