"""A part of a dask array as one NumPy array: a task of the blocks that it lies in."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn import checks
from crfrnn.large.plan import Slices


def windowed(array: Any, outer: Slices) -> tuple:
    """The dask task that returns array[outer].

    A graph of slices and concatenations would say the same, with many times the tasks; a pass over
    the tiles is to be one task per tile.

    Args:
        array: (*S, ...) dask array.
        outer: a slice for each axis of S.
    """
    whole = tuple(slice(0, size) for size in array.shape[len(outer) :])
    wanted = (*outer, *whole)
    along = [_blocks(c, part) for c, part in zip(array.chunks, wanted, strict=True)]
    keys, places = [], []
    for blocks in itertools.product(*along):
        numbers, sources, targets = zip(*blocks, strict=True)
        keys.append((array.name, *numbers))
        places.append((sources, targets))
    shape = tuple(part.stop - part.start for part in wanted)
    return (functools.partial(_assembled, places=places, shape=shape), keys)


def _blocks(chunks: Sequence[int], part: slice) -> list[tuple[int, slice, slice]]:
    """The blocks along an axis that meet a slice: number, the part of it, where that goes.

    >>> _blocks((4, 4, 4), slice(3, 6))
    [(0, slice(3, 4, None), slice(0, 1, None)), (1, slice(0, 2, None), slice(1, 3, None))]
    """
    ends = np.cumsum(chunks)
    first, last = np.searchsorted(ends, [part.start, part.stop - 1], side="right")
    result = []
    for number in range(first, last + 1):
        start = int(ends[number]) - chunks[number]
        low, high = max(part.start, start), min(part.stop, int(ends[number]))
        source = slice(low - start, high - start)
        result.append((number, source, slice(low - part.start, high - part.start)))
    return result


def _assembled(
    blocks: Sequence[np.ndarray], *, places: Sequence[tuple[Slices, Slices]], shape: tuple[int, ...]
) -> np.ndarray:
    blocks = [checks.array("image, probs or mask", block) for block in blocks]
    if len(blocks) == 1:
        return blocks[0][places[0][0]]
    result = np.empty(shape, blocks[0].dtype)
    for block, (source, target) in zip(blocks, places, strict=True):
        result[target] = block[source]
    return result
