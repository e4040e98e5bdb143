"""The files of one case, one by one: image, probabilities, labels, mask."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crfrnn import files
from crfrnn.cli.probabilities import UNKNOWN


class Image(NamedTuple):
    """An image as its file holds it.

    values: as they are. grids: what their shape S without channels may be, likelier ones first.
    volume: the opened NIfTI (or ITK) file, or None.
    """

    values: np.ndarray
    grids: list[tuple[int, ...]]
    volume: Any


def image(paths: Sequence[Path]) -> Image:
    """Read an image from one file, or from one for each channel."""
    parts = [_channels(path) for path in paths]
    first = parts[0]
    if len(parts) == 1:
        return first
    for path, part in zip(paths, parts, strict=True):
        if part.values.shape != first.values.shape or part.values.shape not in first.grids:
            raise ValueError(
                f"{path}: expected one channel of the size of {paths[0]}, {first.values.shape}. "
                f"Received shape {part.values.shape}."
            )
        same_orientation(path, part.volume, first.volume)
    stacked = np.stack([part.values for part in parts], -1)
    return Image(stacked, [first.values.shape], first.volume)


def _channels(path: Path) -> Image:
    ending = files.suffix(path)
    if ending in files.VOLUMES:
        volume = files.open_volume(path)
        values = files.volume_values(volume, path)
        return Image(values, [values.shape[:3]], volume)
    if ending in files.ARRAYS + files.HDF5:
        values, _ = files.read_array(path)
        return Image(values, [values.shape, values.shape[:-1]], None)
    values, bands = files.read_bands(path)
    return Image(values, [values.shape[:-1] if bands else values.shape], None)


def array(path: Path, *, classes: bool = False) -> tuple[np.ndarray, str | None, Any]:
    """Read an array of probabilities, labels or a mask.

    Args:
        path: of a picture, NIfTI or array.
        classes: whether the values are classes, which a palette may hold.

    Returns:
        Values, their name in a .npz, and the NIfTI file they come from.
    """
    ending = files.suffix(path)
    if ending in files.ARRAYS + files.HDF5:
        return (*files.read_array(path), None)
    if ending in files.VOLUMES:
        volume = files.open_volume(path)
        return files.volume_values(volume, path), None, volume
    return files.read_picture(path, classes=classes), None, None


def labels(path: Path, grid: tuple[int, ...], num_labels: int, volume: Any) -> np.ndarray:
    """Read a label map (*S) of integers 0..L-1 or 255, for none; one mask may be 0 and 255."""
    values = _on_grid(path, grid, volume, "labels")
    found = _whole(path, values, "labels")
    classes = np.unique(found)
    if num_labels == 2 and set(classes) <= {0, 255}:
        return (found // 255).astype(np.uint16)  # the usual way to store one mask
    wrong = classes[((classes < 0) | (classes >= num_labels)) & (classes != UNKNOWN)]
    if wrong.size:
        raise ValueError(
            f"{path}: expected labels 0..{num_labels - 1}, one for each of the "
            f"{num_labels} probabilities, or {UNKNOWN} for none. Received also "
            f"{wrong[:8].tolist()}."
        )
    return found.astype(np.uint16)


def mask(path: Path, grid: tuple[int, ...], volume: Any) -> np.ndarray:
    """Read a mask (*S) of bool: True where the file, of whole numbers, is not 0."""
    return inside(path, _on_grid(path, grid, volume, "a mask"))


def inside(path: Path, values: np.ndarray) -> np.ndarray:
    """Where a mask, or a part of it, is not 0; ValueError for what is no whole number."""
    return (values if values.dtype.kind in "bui" else _whole(path, values, "a mask")) != 0


def _whole(path: Path, values: np.ndarray, what: str) -> np.ndarray:
    found = files.whole_numbers(values)
    if found is None:
        odd = np.unique(values[~(np.abs(values - np.rint(values)) < files.ROUNDING)])
        raise ValueError(
            f"{path}: expected {what}, whole numbers. Received also {odd[:8].tolist()}; resample "
            f"{what} by the nearest neighbour."
        )
    return found


def _on_grid(path: Path, grid: tuple[int, ...], volume: Any, what: str) -> np.ndarray:
    values, _, other = array(path, classes=True)
    same_orientation(path, other, volume)
    # A volume of one slice, or a picture of one channel, may have an axis of 1 more.
    if [size for size in values.shape if size > 1] != [size for size in grid if size > 1]:
        raise ValueError(
            f"{path}: expected {what} of the image's size {grid}. Received shape {values.shape}."
        )
    return values.reshape(grid)


def same_orientation(path: Path, other: Any, volume: Any) -> None:
    """ValueError where two volumes of one case store their axes differently.

    Warns where their headers have them in different places.
    """
    if other is None or volume is None:
        return
    from nibabel import aff2axcodes

    expected, received = aff2axcodes(volume.affine), aff2axcodes(other.affine)
    if expected != received:
        raise ValueError(
            f"{path}: expected the orientation of the image, {expected}. Received {received}. "
            "Resample the file to the image, or repair the headers."
        )
    if (apart := files.apart(volume, other)) > min(files.spacing(volume)) / 2:
        warnings.warn(
            f"{path}: its header puts points up to {apart:.3g} mm from where that of the image "
            "has them. They are taken as the same points, one by one; if they are others, resample "
            "the file to the image.",
            stacklevel=2,
        )
