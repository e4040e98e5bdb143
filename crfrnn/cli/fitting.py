"""Layouts of saved probabilities: how the axes may come, and which fit a shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crfrnn.offline.inputs import SUM_TOLERANCE
from crfrnn.offline.upsampling import in_proportion

CHANNELS = 4  # an axis as short as this may be one of channels


class Layout(NamedTuple):
    """How the probabilities of one file are laid out.

    name: "last" (*S, L), "first" (L, *S), "reversed" (L, z, y, x) where the image is (x, y, z),
        or "foreground" (*S), one probability per point. To nnU-Net a picture (H, W) is a volume of
        one slice, (L, 1, H, W); that is "first" or "reversed" as well.
    shape: of the array in the file.
    grid: S, the shape of the image without its channels.
    """

    name: str
    shape: tuple[int, ...]
    grid: tuple[int, ...]

    @property
    def num_labels(self) -> int:
        """Labels in the file: 1 for a foreground alone."""
        return round(np.prod(self.shape) / np.prod(self.grid))

    def to_probs(self, array: np.ndarray) -> np.ndarray:
        """Probabilities (*S, L), L >= 2, from the array of the file; one label becomes two."""
        array = self.labels_last(array)
        return np.concatenate([1 - array, array], -1) if array.shape[-1] == 1 else array

    def labels_last(self, array: np.ndarray) -> np.ndarray:
        """(*S, L), L >= 1, from the array of the file."""
        if self.name == "foreground":
            array = array[..., None]
        elif self.name == "reversed":
            array = array.T  # (L, z, y, x) -> (x, y, z, L)
        elif self.name != "last":
            array = np.moveaxis(array, 0, -1)
        return array.reshape(*self.grid, -1)

    def from_probs(self, probs: np.ndarray) -> np.ndarray:
        """The inverse of `to_probs`: an array to be saved in place of the one that was read."""
        if self.num_labels == 1:
            probs = probs[..., 1:]
        if self.name == "reversed":
            probs = probs.T
        elif self.name not in ("last", "foreground"):
            probs = np.moveaxis(probs, -1, 0)
        return np.ascontiguousarray(probs.reshape(self.shape))

    def on(self, grid: tuple[int, ...]) -> Layout:
        """The same layout of another grid."""
        if grid == self.grid:
            return self
        last, alone = self.name == "last", self.name == "foreground"
        labels = () if alone else (self.num_labels,)
        return Layout(self.name, (*grid, *labels) if last else (*labels, *grid), grid)


def small_grids(shape: tuple[int, ...], grids: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """What s may be in an array of probabilities of this shape, smaller than an image (H, W).

    None where s is S: of two readings the one without upsampling is meant.
    """
    if any(grid in (shape, shape[:-1], shape[1:]) for grid in grids):
        return []
    pictures = [grid for grid in grids if len(grid) == 2]
    found = [
        s for s in (shape[:-1], shape[1:], shape) if any(in_proportion(s, g) for g in pictures)
    ]
    return list(dict.fromkeys(found))


def full_grid(small: tuple[int, ...], grids: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The grid of the image: `small` itself, or what is in proportion to it."""
    return small if small in grids else next(grid for grid in grids if in_proportion(small, grid))


def candidates(
    shape: tuple[int, ...],
    grids: Sequence[tuple[int, ...]],
    name: str = "auto",
    *,
    is_nnunet: bool = False,
    is_nifti: bool = False,
) -> list[Layout]:
    """All layouts that fit a shape; with `is_nnunet` its own comes first. See `layouts.find`."""
    nnunet = "reversed" if is_nifti else "first"
    order = {"auto": ["last", "first", "foreground"], "nnunet": [nnunet]}.get(name, [name])
    if name == "auto" and is_nnunet:
        order = list(dict.fromkeys([nnunet, *order]))
    elif name == "auto" and is_nifti:
        order.append("reversed")
    found = []
    for candidate in order:
        for grid in grids:
            # A picture is a volume of one slice to nnU-Net: (L, 1, H, W).
            one_slice = candidate == nnunet and (is_nnunet or name == "nnunet")
            if grid == _grid(shape, candidate, one_slice and len(shape) == len(grid) + 2):
                found.append(Layout(candidate, shape, grid))
    return found


def sums_to_one(probs: np.ndarray) -> bool:
    """Whether all rows (*S, L) sum to 1, but for those with NaN."""
    sums = probs.sum(-1, dtype=np.float64)
    known = sums[~np.isnan(sums)]
    # Of an axis that is none of labels a NaN may be in every sum, which then tell nothing.
    if not known.size and not np.isnan(probs).all():
        return False
    return bool(np.all(np.abs(known - 1) <= SUM_TOLERANCE))


def _grid(shape: tuple[int, ...], layout: str, one_slice: bool) -> tuple[int, ...] | None:
    """What S would be if an array of this shape had this layout."""
    if layout == "foreground":
        return shape
    if layout == "last":
        return shape[:-1]
    grid = shape[1:]
    if one_slice:
        if grid[:1] != (1,):
            return None
        grid = grid[1:]
    return grid[::-1] if layout == "reversed" else grid
