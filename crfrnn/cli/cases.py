"""One case from files: image, probabilities, perhaps labels and mask."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crfrnn import files
from crfrnn.cli import layouts, probabilities, reading
from crfrnn.cli.fitting import CHANNELS, Layout, full_grid, small_grids
from crfrnn.cli.packing import dense
from crfrnn.offline.upsampling import upsample


class Paths(NamedTuple):
    """The files of one case.

    name: what they have in common.
    image: one file, or one for each channel.
    probs: one file; more_probs: those of label 1, 2, ... where each label has a file of its own.
    """

    name: str
    image: tuple[Path, ...]
    probs: Path
    labels: Path | None = None
    mask: Path | None = None
    more_probs: tuple[Path, ...] = ()

    def inputs(self) -> tuple[Path, ...]:
        """All that are there."""
        others = (path for path in (self.labels, self.mask) if path is not None)
        return (*self.image, self.probs, *self.more_probs, *others)


class Kind(NamedTuple):
    """What the files of probabilities hold.

    layout: see `layouts.find`.
    logits: numbers before the softmax or sigmoid.
    labels_as_probs: None, or label maps are read, each label right with this probability.
    nan_outside: probabilities that are NaN stand for nothing: their points do not count.
    small: pictures may be larger than their probabilities, which stay as they are.
    sparse: of a file that has some labels only, those alone are wanted.
    """

    layout: str = "auto"
    logits: bool = False
    labels_as_probs: float | None = None
    nan_outside: bool = False
    small: bool = False
    sparse: bool = False


class Case(NamedTuple):
    """What is in the files of one case.

    image: (*S, K), the values of the file.
    probs: (*S, L) float32; (*s, L) where they are small.
    labels: (*S) integers, 255 where there is none, or None.
    mask: (*S) of bool, True where a point counts, or None.
    spacing: distance of neighbouring points along each axis, from NIfTI (mm); else None.
    layout: of the probabilities in their file; key: their name in a .npz.
    nifti: the opened NIfTI file of the image, or None.
    keys: of which labels the probabilities are, (L,), where the file names them; None: of all.
    num_labels: how many there are of those, or None.
    """

    image: np.ndarray
    probs: np.ndarray
    labels: np.ndarray | None
    mask: np.ndarray | None
    spacing: tuple[float, ...] | None
    layout: Layout
    key: str | None
    nifti: Any
    keys: np.ndarray | None = None
    num_labels: int | None = None


class _Probs(NamedTuple):
    """What is in the files of probabilities; the attributes of `Case`."""

    probs: np.ndarray
    layout: Layout
    key: str | None = None
    keys: np.ndarray | None = None
    num_labels: int | None = None


def read(paths: Paths, kind: Kind | None = None, num_labels: int | None = None) -> Case:
    """Read the files of one case and bring the probabilities to the axes of the image.

    Args:
        paths: of a picture, NIfTI or array each. Probabilities are arrays, NIfTI (x, y, z[, L]), or
            the foreground's as a grey picture (0 = 0, 255 or 65535 = 1).
        kind: what the probabilities are.
        num_labels: L of label maps in their place, or of a file that does not say it, where others
            have more labels.

    Raises:
        ValueError: a file that cannot be read, or files that do not belong together.
    """
    image = reading.image(paths.image)
    found = _probs(paths, image, kind or Kind(), num_labels)
    grid, count, volume = found.layout.grid, found.probs.shape[-1], image.volume
    truth = None if paths.labels is None else reading.labels(paths.labels, grid, count, volume)
    mask = None if paths.mask is None else reading.mask(paths.mask, grid, volume)
    mask = _without_nan(paths.probs, found.probs, mask, grid, kind or Kind())
    return Case(
        image=image.values.reshape(*grid, -1),  # (*S, K)
        probs=found.probs,
        labels=truth,
        mask=mask,
        spacing=_spacing(volume, len(grid)),
        layout=found.layout,
        key=found.key,
        nifti=volume,
        keys=found.keys,
        num_labels=found.num_labels,
    )


def without_probs(path: Path) -> Case:
    """A case of an image alone: its probabilities are of no label, (*S, 0).

    Nothing but its own shape says which axis of an array is one of channels; a UserWarning tells
    what was taken for a picture.

    Raises:
        ValueError: a file that cannot be read.
    """
    image = reading.image([path])
    grid, volume = image.grids[0], image.volume
    shape = image.values.shape
    is_array = len(image.grids) > 1
    is_picture = is_array and len(shape) == 3 and shape[-1] <= CHANNELS
    if is_picture:
        warnings.warn(
            f"{path}: shape {shape} is taken for a picture of {shape[-1]} channels. A volume of so "
            "few slices needs an axis of channels as well: image[..., None].",
            stacklevel=2,
        )
    if is_picture or (is_array and len(shape) == 4):
        grid = shape[:-1]
    probs = np.empty((*grid, 0), np.float32)
    return Case(
        image=image.values.reshape(*grid, -1),
        probs=probs,
        labels=None,
        mask=None,
        spacing=_spacing(volume, len(grid)),
        layout=Layout("last", probs.shape, grid),
        key=None,
        nifti=volume,
    )


def _spacing(volume: Any, axes: int) -> tuple[float, ...] | None:
    return None if volume is None else files.spacing(volume)[:axes]


def _without_nan(
    path: Path, probs: np.ndarray, mask: np.ndarray | None, grid: tuple[int, ...], kind: Kind
) -> np.ndarray | None:
    """The mask without points whose probabilities are NaN; ValueError where nobody expects some."""
    missing = np.isnan(probs).any(-1)
    if missing.any() and missing.shape != grid:
        raise ValueError(
            f"{path}: expected probabilities without NaN, for an interpolation between them. "
            f"Received NaN at {missing.sum()} of {missing.size} points. Upsample them first."
        )
    unexpected = missing if mask is None or missing.shape != grid else missing & mask
    if not unexpected.any():
        return mask
    if not kind.nan_outside:
        raise ValueError(
            f"{path}: expected probabilities. Received NaN at {unexpected.sum()} of {missing.size} "
            "points. If they stand for nothing, as outside of a brain, add --nan-outside, or (of "
            "the command) a --mask that is 0 there. If not, the network has failed."
        )
    mask = ~missing if mask is None else mask & ~missing
    if not mask.any():
        raise ValueError(f"{path}: expected probabilities of some point. Received none but NaN.")
    return mask


def _probs(paths: Paths, image: reading.Image, kind: Kind, num_labels: int | None) -> _Probs:
    if files.is_packed(paths.probs):
        return _of_some_labels(paths, image, kind, num_labels)
    as_labels = kind.labels_as_probs is not None
    array, key, other = reading.array(paths.probs, classes=as_labels)
    reading.same_orientation(paths.probs, other, image.volume)
    is_picture = files.suffix(paths.probs) in files.PICTURES
    if paths.more_probs:
        others = (_one_label(path, array.shape) for path in paths.more_probs)
        array = np.stack([array, *others], -1)
    try:
        if kind.labels_as_probs is not None:
            grid = next((g for g in image.grids if g == array.shape), image.grids[-1])
            probs = probabilities.from_labels(array, grid, kind.labels_as_probs, num_labels)
            return _Probs(probs, Layout("last", probs.shape, grid))
        if not (kind.logits or is_picture):
            array = probabilities.of_eight_bits(array)
        small = small_grids(array.shape, image.grids) if kind.small else []
        layout = layouts.find(
            array.shape,
            small or image.grids,
            kind.layout,
            is_nnunet=key in (files.NNUNET_KEY, files.NNUNET_V1_KEY),
            is_nifti=image.volume is not None,
            values=None if kind.logits else probabilities.scaled(array, is_picture),
        )
    except ValueError as error:
        sizes = f"image {paths.image[0]} of shape {image.values.shape}"
        cut = _CUT if key == files.NNUNET_V1_KEY else ""
        raise ValueError(f"{paths.probs} does not fit the {sizes}. {error}{cut}") from None
    grid = full_grid(layout.grid, image.grids)
    try:
        if kind.logits:
            # As in the network: numbers are upsampled, then the softmax is taken.
            return _Probs(probabilities.from_logits(array, layout, grid), layout.on(grid), key)
        sure = kind.layout == "foreground"
        probs = probabilities.from_probabilities(array, layout, is_picture=is_picture, sure=sure)
    except ValueError as error:
        raise ValueError(f"{paths.probs}: {error}") from None
    return _Probs(probs, layout.on(grid), key)


def _of_some_labels(
    paths: Paths, image: reading.Image, kind: Kind, num_labels: int | None
) -> _Probs:
    packed = files.read_packed(paths.probs)
    _check_packed(paths.probs, packed.name, kind)
    small = packed.maps.shape[1:]
    layout = Layout("first", packed.maps.shape, small)
    smaller = small not in image.grids
    if smaller and not (kind.small and small_grids((*small, 1), image.grids)):
        sizes = f"image {paths.image[0]} of shape {image.values.shape}"
        raise ValueError(
            f"{paths.probs} does not fit the {sizes}. Expected maps of its size, or smaller "
            "ones of a picture, in its proportions, and --upsample (of `crfrnn refine`). "
            f"Received maps of shape {small}."
        )
    grid = full_grid(small, image.grids)
    count = num_labels if packed.num_labels is None else packed.num_labels
    try:
        if kind.logits and len(packed.keys) > 1:
            probs = probabilities.from_logits(packed.maps, layout, grid)
        elif kind.logits:  # the softmax of one
            probs = np.ones((*grid, 1), np.float32)
        else:
            probs = probabilities.from_maps(packed.maps)
        name = None if packed.name == files.ENERGIES else packed.name
        if kind.sparse:
            return _Probs(probs, layout.on(grid), name, packed.keys, packed.num_labels)
        if probs.shape[:-1] != grid:
            probs = upsample(probs, grid)
        return _Probs(dense(probs, packed.keys, count), layout.on(grid), name)
    except ValueError as error:
        raise ValueError(f"{paths.probs}: {error}") from None


def _check_packed(path: Path, name: str, kind: Kind) -> None:
    """ValueError where a file that says itself what it holds is said to hold something else."""
    if kind.logits and name == files.ENERGIES:
        raise ValueError(
            f"{path}: expected logits. Received probabilities, as `crfrnn pack` writes them, of "
            "logits too: leave out --logits."
        )
    if kind.labels_as_probs is not None:
        raise ValueError(
            f"{path}: expected a label map. Received probabilities of some labels, with `keys`: "
            "leave out --labels-as-probs."
        )
    if kind.layout != "auto":
        raise ValueError(
            f"{path}: expected an array whose axes may come in several orders. Received maps of "
            "some labels, with `keys`, whose labels come first: leave out --layout."
        )


_CUT = (
    " nnU-Net v1 saves the probabilities of the part of the image that is not empty; which part is "
    "in the .pkl, which is not read, because such a file can run code. How to put them back: "
    "docs/predictions.md."
)


def _one_label(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    array, _, _ = reading.array(path)
    if array.shape != shape:
        raise ValueError(
            f"{path}: expected probabilities of the shape of label 0, {shape}. "
            f"Received shape {array.shape}."
        )
    return array
