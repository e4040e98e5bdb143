"""Small files of probabilities: `crfrnn.pack` and `crfrnn.unpack`."""

from __future__ import annotations

import math
import operator
import os
from pathlib import Path
from typing import Any

import numpy as np

from crfrnn import checks, files
from crfrnn.checks import Flag, Listed, Reals
from crfrnn.meanfield import absent
from crfrnn.offline import inputs
from crfrnn.offline.upsampling import upsample


@checks.door(ignore_below=Reals(least=0), overwrite=Flag())
def pack(
    path: str | os.PathLike,
    probs: np.ndarray,
    *,
    ignore_below: float = 1e-3,
    overwrite: bool = False,
) -> None:
    """Writes probabilities of the labels that are present, in 8 bits, compressed: a small file.

    `refine_many` and the command `crfrnn refine` read it, `unpack` does, and so does NumPy alone:
    `keys` (K,) are the labels, `energies` (K, *s) uint8 is -log p in steps of 1/16, so that a
    softmax of -energies / 16 over the first axis gives the probabilities within 3.2 % of each, down
    to 1.2e-7; `num_labels` is L. A CRF works with logarithms: steps of 1/255 in p itself would lose
    what is below 0.002, and take labels from it that it might have found.

    Args:
        path: of a new .npz.
        probs: (*s, L), L >= 2 probabilities that sum to 1; best as the network gives them, before
            they are upsampled.
        ignore_below: labels whose probability is below it at every point, and which are the most
            likely of none, are left out; 0: none.
        overwrite: whether a file that exists is replaced.

    Raises:
        ValueError: no probabilities, another extension than .npz, or a file that exists.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.npz")
    >>> pack(path, np.array([[0.7, 1e-5, 0.3], [0.2, 1e-5, 0.8]]))
    >>> unpack(path).round(1)
    array([[0.7, 0. , 0.3],
           [0.2, 0. , 0.8]], dtype=float32)
    """
    path = Path(path)
    files.suffix(path, (".npz",))
    if os.path.lexists(path) and not overwrite:
        raise ValueError(f"{path} exists. Add overwrite=True to replace it.")
    probs = inputs.probabilities(probs)
    if not probs.size:
        raise ValueError(f"Expected probabilities of some point. Received shape {probs.shape}.")
    num_labels = probs.shape[-1]
    highest = probs.reshape(-1, num_labels).max(0)
    keys = absent.present(highest, np.zeros(num_labels), ignore_below)
    if len(keys) < 2:  # a CRF has two labels or more
        keys = np.sort(np.argsort(highest)[-2:])
    with files.replacing(path) as part:
        files.write_packed(part, probs[..., keys], keys, num_labels)


@checks.door(grid=Listed("sizes", optional=True))
def unpack(path: str | os.PathLike, grid: tuple[int, ...] | None = None) -> np.ndarray:
    """Reads probabilities that `pack` or `crfrnn pack` wrote.

    Args:
        path: of the .npz.
        grid: S, the size of the image: the probabilities are upsampled to it, linearly between the
            centres of points (as `align_corners=False` of PyTorch). None: as they are.

    Returns:
        (*S, L) float32, which sum to 1; labels that are not in the file are 0.

    Raises:
        ValueError: no such file, another one, or damaged.

    Example: see `pack`.
    """
    packed = files.read_packed(Path(path))
    probs = np.moveaxis(packed.maps, 0, -1)
    if packed.name != files.ENERGIES:
        raise ValueError(
            f"{path}: expected a file that `crfrnn.pack` wrote. Received maps named "
            f"{packed.name!r}, of which it is not said what they are: read them by numpy.load."
        )
    if grid is not None:
        if len(grid) != probs.ndim - 1 or not all(map(_is_size, grid)):
            raise ValueError(
                f"Expected `grid` of {probs.ndim - 1} sizes, 1 or more. Received {grid}."
            )
        count_of(tuple(grid), packed.keys, packed.num_labels)
        probs = upsample(probs, tuple(grid))
    try:
        return dense(probs, packed.keys, packed.num_labels)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _is_size(value: Any) -> bool:
    try:
        return operator.index(value) > 0
    except TypeError:
        return False


def dense(probs: np.ndarray, keys: np.ndarray, num_labels: int | None) -> np.ndarray:
    """(*S, L) float32 from probabilities (*S, K) of the labels `keys`; the others are 0."""
    grid = probs.shape[:-1]
    result = np.zeros((*grid, count_of(grid, keys, num_labels)), np.float32)
    result[..., keys] = probs
    return result


def count_of(grid: tuple[int, ...], keys: np.ndarray, num_labels: int | None) -> int:
    """L of an array (*S, L) of all labels; ValueError where it is more than a file may ask for."""
    count = max(2, int(keys[-1]) + 1 if num_labels is None else num_labels)
    try:
        files.check_size(4.0 * count * math.prod(grid))
    except ValueError as error:
        raise ValueError(f"Of all {count} labels at {math.prod(grid)} points {error}") from None
    return count
