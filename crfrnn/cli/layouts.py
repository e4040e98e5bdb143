"""In which order the axes of saved probabilities come, found by comparing them with the image."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NAMES = ("auto", "last", "first", "nnunet")


class Layout(NamedTuple):
    """How the probabilities of one file are laid out.

    name: "last" (*S, L), "first" (L, *S), "nnunet" (L, z, y, x) where the image is (x, y, z) or
        (L, 1, H, W) where it is (H, W), or "foreground" (*S), one probability per point.
    shape: of the array in the file.
    grid: S, the shape of the image without its channels.
    """

    name: str
    shape: tuple[int, ...]
    grid: tuple[int, ...]

    def to_probs(self, array: np.ndarray) -> np.ndarray:
        """Probabilities (*S, L), L >= 2, from the array of the file; one label becomes two."""
        if self.name == "foreground":
            array = array[..., None]
        elif self.name == "reversed":
            array = array.T  # (L, z, y, x) -> (x, y, z, L)
        elif self.name != "last":
            array = np.moveaxis(array, 0, -1)
        array = array.reshape(*self.grid, -1)
        return np.concatenate([1 - array, array], -1) if array.shape[-1] == 1 else array

    def from_probs(self, probs: np.ndarray) -> np.ndarray:
        """The inverse of `to_probs`: an array to be saved in place of the one that was read."""
        if np.prod(self.shape) == np.prod(self.grid):
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
) -> Layout:
    """The layout of an array of probabilities.

    Args:
        shape: of the array.
        grids: possible shapes S of the image without channels, likelier ones first: of an array
            (20, 30, 3) nobody knows whether its last axis is one of channels.
        name: one of `NAMES`; "auto" takes the first that fits.
        is_nnunet: the file looks like one of nnU-Net's, which is then tried first.
        is_nifti: the image is NIfTI, whose axes nnU-Net reverses.

    Raises:
        ValueError: nothing fits; the message says how the axes could be brought into order.

    Example:

    >>> find((3, 40, 20, 30), [(30, 20, 40)], is_nnunet=True, is_nifti=True).name
    'reversed'
    >>> find((20, 30), [(20, 30)]).name
    'foreground'
    """
    if name not in NAMES:
        raise ValueError(f"Expected a layout of {', '.join(NAMES)}. Received {name!r}.")
    nnunet = "reversed" if is_nifti else "first"
    order = {
        "auto": [nnunet, "last", "first", "foreground"] if is_nnunet else
        ["last", "first", "foreground"],
        "nnunet": [nnunet],
    }.get(name, [name])  # fmt: skip
    for grid in grids:
        for candidate in order:
            # A picture is a volume of one slice to nnU-Net: (L, 1, H, W).
            one_slice = candidate == nnunet and (is_nnunet or name == "nnunet")
            if grid == _grid(shape, candidate, one_slice and len(shape) == len(grid) + 2):
                return Layout(candidate, shape, grid)
    raise ValueError(_explain(shape, grids[0], order))


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


def _explain(shape: tuple[int, ...], grid: tuple[int, ...], order: list[str]) -> str:
    expected = {
        "last": (*grid, "L"),
        "first": ("L", *grid),
        "reversed": ("L", *grid[::-1]),
        "foreground": grid,
    }
    shapes = " or ".join(str(expected[name]).replace("'", "") for name in order)
    message = f"Expected probabilities of shape {shapes}, L labels. Received shape {shape}."
    for axes in itertools.permutations(range(len(shape))):
        if tuple(shape[axis] for axis in axes)[: len(grid)] == grid:
            return (
                f"{message} The axes seem to be in another order: save "
                f"np.transpose(probs, {axes}), or see --layout."
            )
    return (
        f"{message} If the network worked at another size, resize its probabilities to the image; "
        "if the files belong to different images, pair the right ones."
    )
