"""A part of a large image: parameters are guessed from it, and its time is measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn.cli import refining
from crfrnn.cli.refining import Prepared, Settings
from crfrnn.cli.zarr_inputs import Inputs
from crfrnn.offline.refine import refine
from crfrnn.optional import needed

_SAMPLE = 2**18  # points of the part


def tried(given: Inputs, settings: Settings) -> tuple[dict[str, Any], Any, float]:
    """The parameters, the guess or None, and the seconds per point of a part.

    Raises:
        ValueError: none of the points take part, or what `refine` refuses in the part.
    """
    part = _part(given, _SAMPLE)
    prepared, probs = _read(given, part)
    crf, guess = refining.complete(settings.parameters, prepared, probs)
    crf.pop("method", None), crf.pop("window", None)
    if settings.slice_axis is not None:
        prepared, probs = _read(*_of_slice(given, part, prepared.mask, settings.slice_axis))
    image, mask, spacing = prepared
    start = time.perf_counter()
    refine(image, probs, **crf, spacing=spacing, mask=mask)
    return crf, guess, (time.perf_counter() - start) / probs[..., 0].size


def without(each: Sequence[Any], axis: int | None) -> tuple[Any, ...]:
    """What there is of each axis, without that of the slices, if there are any.

    Example:

    >>> without((3, 4, 5), 1), without((4, 5), None)
    ((3, 5), (4, 5))
    """
    return tuple(one for number, one in enumerate(each) if number != axis)


def _read(given: Inputs, part: tuple[slice, ...]) -> tuple[Prepared, np.ndarray]:
    image, probs = (np.asarray(array[part].compute()) for array in given[:2])
    mask = None if given.mask is None else np.asarray(given.mask[part].compute())
    if mask is not None and mask.all():
        mask = None
    return Prepared(image, mask, given.spacing), probs


def _part(given: Inputs, points: int) -> tuple[slice, ...]:
    """The middle; where nothing takes part there, the block of that size where most does."""
    grid, mask = given.probs.shape[:-1], given.mask
    side = int(points ** (1 / len(grid)))
    middle = tuple(slice((n - min(n, side)) // 2, (n + min(n, side)) // 2) for n in grid)
    if mask is None or bool(mask[middle].any().compute()):
        return middle
    blocks = mask.rechunk(side)
    counts = needed("dask.array", "Zarr files", "large").map_blocks(
        lambda block: block.sum(keepdims=True), blocks, dtype=int, chunks=(1,) * len(grid)
    )
    counts = np.asarray(counts.compute())
    if not counts.any():
        raise ValueError("Expected an image with some point that counts. Received none.")
    best = np.unravel_index(counts.argmax(), counts.shape)
    return tuple(slice(side * i, min(side * (i + 1), n)) for i, n in zip(best, grid, strict=True))


def _of_slice(
    given: Inputs, part: tuple[slice, ...], mask: np.ndarray | None, axis: int
) -> tuple[Inputs, tuple[slice, ...]]:
    """The slice in the middle of a part, or where most takes part, and as many points of that."""
    number = (part[axis].start + part[axis].stop) // 2
    if mask is not None:
        others = tuple(other for other in range(mask.ndim) if other != axis)
        number = part[axis].start + int(mask.sum(others).argmax())
    place = (*(slice(None),) * axis, number)
    image, probs, points = (array if array is None else array[place] for array in given[:3])
    spacing = None if given.spacing is None else without(given.spacing, axis)
    one = given._replace(image=image, probs=probs, mask=points, spacing=spacing)
    return one, _part(one, _SAMPLE)
