"""From keys to the vertices of the permutohedral lattice: their numbers and their neighbours.

The hash table of the paper is replaced by one sort: equal keys meet as neighbours in the sorted
list. All works in static shapes and 32-bit integers, so that it compiles under XLA.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from crfrnn.arrays import concrete


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


def number_keys(ops: Any, keys: list[Any]) -> tuple[Any, Any, Any]:
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


def reserve(
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


def forward_neighbours(ops: Any, keys: list[Any], count: Any) -> Any:
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


def both_neighbours(ops: Any, forward: Any) -> Any:
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
