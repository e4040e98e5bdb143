"""In which order the axes of saved probabilities come, found from their shape and values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crfrnn.cli import advice

NAMES = ("auto", "last", "first", "nnunet", "foreground")
_SUM_TOLERANCE = 1e-2  # as `crfrnn.refine` takes them


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


def find(
    shape: tuple[int, ...],
    grids: Sequence[tuple[int, ...]],
    name: str = "auto",
    *,
    is_nnunet: bool = False,
    is_nifti: bool = False,
    values: np.ndarray | None = None,
) -> Layout:
    """The layout of an array of probabilities; what shape and values leave open is refused.

    Labels come before one foreground, over all grids: an image (20, 30, 3) with an array
    (20, 30, 3) is a colour picture with three labels if the array's rows sum to 1.

    Args:
        shape: of the array.
        grids: possible shapes S of the image without channels: of an array (20, 30, 3) nobody
            knows whether its last axis is one of channels.
        name: one of `NAMES`; "auto" takes the one that fits.
        is_nnunet: the file looks like one of nnU-Net's, which decides between layouts that fit.
        is_nifti: the image is NIfTI, whose axes nnU-Net reverses.
        values: the array, if it holds probabilities; None: numbers that need not sum to 1.

    Raises:
        ValueError: nothing fits, or several do; the message says what to do.

    Example:

    >>> find((3, 40, 20, 30), [(30, 20, 40)], is_nnunet=True, is_nifti=True).name
    'reversed'
    >>> find((20, 30), [(20, 30)]).name
    'foreground'
    """
    if name not in NAMES:
        raise ValueError(f"Expected a layout of {', '.join(NAMES)}. Received {name!r}.")
    fitting = candidates(shape, grids, name, is_nnunet=is_nnunet, is_nifti=is_nifti)
    if not fitting:
        raise ValueError(advice.explain(shape, grids, name, is_nnunet, is_nifti, values))
    several = [layout for layout in fitting if layout.num_labels > 1]
    if several:
        summing = (
            []
            if values is None
            else [layout for layout in several if sums_to_one(layout.labels_last(values))]
        )
        # Where none sums to 1 there may still be one foreground that fits.
        fitting = summing or fitting
        if len(fitting) > 1 and name == "auto" and not is_nnunet:
            raise ValueError(advice.ambiguous(shape, fitting))
    elif values is not None and _is_batch(values, grids):
        raise ValueError(advice.explain(shape, grids, name, is_nnunet, is_nifti, values))
    return fitting[0]


def candidates(
    shape: tuple[int, ...],
    grids: Sequence[tuple[int, ...]],
    name: str = "auto",
    *,
    is_nnunet: bool = False,
    is_nifti: bool = False,
) -> list[Layout]:
    """All layouts that fit a shape; with `is_nnunet` its own comes first. See `find`."""
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
    """Whether all rows (*S, L) sum to 1."""
    sums = probs.sum(-1, dtype=np.float64)
    return bool(np.all(np.abs(sums - 1) <= _SUM_TOLERANCE))


def _is_batch(values: np.ndarray, grids: Sequence[tuple[int, ...]]) -> bool:
    """Whether (1, H, W, L), which fits an image (H, W, L) as one foreground, holds L labels."""
    inner = candidates(values.shape[1:], grids) if values.shape[0] == 1 else []
    return any(
        layout.num_labels > 1 and sums_to_one(layout.labels_last(values[0])) for layout in inner
    )


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
