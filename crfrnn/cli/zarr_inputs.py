"""An image and its probabilities in Zarr, as dask arrays that fit together."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crfrnn import files
from crfrnn.cli import reading
from crfrnn.cli.refining import Settings, check_axes, warn_of_batch
from crfrnn.files.zarrs import Named, Zarr, fingerprint, open_zarr
from crfrnn.offline.upsampling import in_proportion
from crfrnn.optional import needed

_DASK = ("Images larger than memory", "large")


class Inputs(NamedTuple):
    """What a Zarr image is refined from.

    image, probs: (*S, K) and (*S, L), dask arrays.
    mask: (*S) of bool, likewise, or None.
    spacing: (S,) or None.
    like: the image.
    files: of each where it is, shape and dtype there, and `fingerprint`, to tell others from them.
    """

    image: Any
    probs: Any
    mask: Any
    spacing: tuple[float, ...] | None
    like: Zarr
    files: list[Any]


def opened(image: Path, probs: Path, mask: Path | None, settings: Settings) -> Inputs:
    """Image, probabilities and mask as dask arrays, channels and labels last."""
    from crfrnn.large.probabilities import prepared

    paths = [image, probs, *([] if mask is None else [mask])]
    for path in paths[1:]:
        if not files.is_zarr(path):
            raise ValueError(
                f"{path}: expected Zarr, as the image is. Convert both to Zarr, or neither."
            )
    found = [open_zarr(path) for path in paths]
    lazy = [_channels_last(path, each) for path, each in zip(paths, found, strict=True)]
    picture, q = lazy[:2]
    da = needed("dask.array", *_DASK)
    grids = {picture.shape[:-1], *([] if found[0].axes else [picture.shape])}
    grid = picture.shape[: q.ndim - 1]
    if not found[1].axes and _labels_first(q.shape, grid, settings.upsample):
        q = da.moveaxis(q, 0, -1)
    if settings.nan_outside and q.shape[:-1] != grid:
        raise ValueError(
            f"{probs}: expected probabilities of the image's size for --nan-outside, since NaN "
            "cannot be interpolated. Upsample them first."
        )
    if settings.upsample or q.shape[:-1] == grid:
        q = prepared(q, grid, settings.logits)
    if q.shape[:-1] not in grids or q.ndim not in (3, 4):
        raise ValueError(
            "Expected probabilities (*S, L) of the image's size, or with --upsample smaller by a "
            f"whole factor. Received an image of shape {picture.shape} and probabilities of shape "
            f"{q.shape}."
        )
    if picture.shape == q.shape[:-1]:
        picture = picture[..., None]
    check_axes(q.ndim - 1, settings)
    if settings.spacing is None and not found[0].axes:
        warn_of_batch(picture.shape, settings.slice_axis)
    spacing = found[0].spacing if settings.spacing is None else settings.spacing
    if spacing is not None:
        spacing = tuple(map(float, np.broadcast_to(spacing, q.ndim - 1)))
    points = None if mask is None else _mask(mask, lazy[2], q.shape[:-1])
    for kept, gaps in ((True, picture), (settings.nan_outside, q)):
        if kept and gaps.dtype.kind == "f":
            there = ~da.isnan(gaps).any(-1)
            points = there if points is None else points & there
    told = [
        [str(path.resolve()), each.array.shape, str(each.array.dtype),
         fingerprint(path / each.array.path)]
        for path, each in zip(paths, found, strict=True)
    ]  # fmt: skip
    return Inputs(picture, q, points, spacing, found[0], told)


def _channels_last(path: Path, found: Zarr) -> Any:
    """A dask array; of OME-Zarr with its channels last, one where it names none."""
    da = needed("dask.array", *_DASK)
    # Without a name of its own dask would read all of the array to make one.
    array = da.from_array(Named(path, found.array), chunks=found.array.chunks, name=False)
    if not found.axes:
        return array
    if "t" in found.axes:
        axis = found.axes.index("t")
        if array.shape[axis] > 1:
            raise ValueError(f"{path}: expected one time. Received {array.shape[axis]}.")
        array = da.take(array, 0, axis=axis)
    names = [name for name in found.axes if name != "t"]
    if names != sorted(names, key="czyx".index):
        raise ValueError(f"{path}: expected axes t, c, z, y, x. Received {names}.")
    return da.moveaxis(array, 0, -1) if "c" in names else array[..., None]


def _mask(path: Path, array: Any, grid: tuple[int, ...]) -> Any:
    if array.shape == (*grid, 1):
        array = array[..., 0]
    if array.shape != grid:
        raise ValueError(
            f"{path}: expected a mask of the image's size {grid}. Received shape {array.shape}."
        )
    inside = functools.partial(reading.inside, path)
    return array.map_blocks(inside, dtype=bool, meta=np.empty((0,) * array.ndim, bool))


def _labels_first(shape: tuple[int, ...], grid: tuple[int, ...], upsample: bool) -> bool:
    """Whether probabilities are (L, *s). False: (*s, L), or neither, which is refused later.

    Two labels of 50 x 50 points are also 50 labels of 2 x 50, where the image has 100 x 100: the
    factor that is the same along all axes decides.
    """
    last, first = shape[:-1], shape[1:]
    if not upsample:
        return last != grid and first == grid
    both = [_factors(last, grid), _factors(first, grid)]
    likely = [each for each in both if len(each) == 1] or [each for each in both if each]
    if not likely:
        return False
    taken = both.index(likely[0])
    other = (first, last)[taken]
    # What would fit but for the padding of a network is too much like it to take the other.
    if len(likely) > 1 or (len(likely[0]) > 1 and in_proportion(other, grid)):
        raise ValueError(
            f"Probabilities of shape {shape} may have the labels first or last, for an image of "
            f"{grid} points. Write them as OME-Zarr, whose axes say it, or at the image's size."
        )
    return taken == 1


def _factors(small: tuple[int, ...], grid: tuple[int, ...]) -> set[int]:
    """How many times larger the image is along its axes; empty if that is no whole number."""
    if len(small) != len(grid) or any(s == 0 or n % s for n, s in zip(grid, small, strict=True)):
        return set()
    return {n // s for n, s in zip(grid, small, strict=True)}
