"""A dask array written to a Zarr array chunk by chunk, so that killed work goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from crfrnn.optional import needed, needed_zarr


def left(array: Any, target: Path, record: Path) -> list[Any]:
    """The tasks that write what is not written yet, one per block.

    A block is written when its file in `record` is there, which is made afterwards. That a chunk is
    in the target says nothing: it may be half of one.

    Args:
        array: dask array, with blocks of one size (but the last along each axis), that of the
            target's chunks.
        target: Zarr array of the same shape.
        record: folder of a file for each block that is written; it exists.

    Returns:
        dask Delayed objects, to be computed together.
    """
    delayed = needed("dask", "Images larger than memory", "large").delayed
    blocks = array.to_delayed()
    ends = [np.cumsum(chunks) for chunks in array.chunks]
    tasks = []
    for index in np.ndindex(*blocks.shape):
        done = record / ".".join(map(str, index))
        if not done.exists():
            each = zip(ends, array.chunks, index, strict=True)
            place = tuple(slice(int(e[i] - c[i]), int(e[i])) for e, c, i in each)
            tasks.append(delayed(_write)(blocks[index], str(target), place, str(done)))
    return tasks


def _write(block: np.ndarray, target: str, place: tuple[slice, ...], done: str) -> None:
    needed_zarr().open_array(target, mode="r+")[place] = block
    Path(done).touch()
