"""Probabilities of some of the labels in a small .npz: which labels, and a map of each."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crfrnn.files.arrays import npz_members, read_member
from crfrnn.files.errors import Unfit, naming, real
from crfrnn.files.labels import HIGHEST
from crfrnn.files.writing import asked_for

KEYS, ENERGIES, COUNT = "keys", "energies", "num_labels"

# Codes per nat. Of eight bits the last is exp(-255 / 16) = 1.2e-7, where probabilities are cut.
_STEPS = 16


class Packed(NamedTuple):
    """What such a file holds.

    keys: (K,) numbers of the labels, ascending, int64.
    maps: (K, *s) float32 or as stored, one for each of them.
    num_labels: L, or None where the file does not say.
    name: of the maps in the file; "energies" are those of `write_packed`, as probabilities.
    """

    keys: np.ndarray
    maps: np.ndarray
    num_labels: int | None
    name: str


def is_packed(path: Path) -> bool:
    """Whether a file is a .npz with `keys`; also of one that cannot be read: False."""
    if not path.name.lower().endswith(".npz"):
        return False
    try:
        with zipfile.ZipFile(path) as file:
            return f"{KEYS}.npy" in file.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def write_packed(path: Path, probs: np.ndarray, keys: np.ndarray, num_labels: int) -> None:
    """Write probabilities of some labels, -log p in steps of 1/16, in 8 bits, compressed.

    In the file are keys (K,), energies (K, *s) uint8, labels first, and num_labels: a softmax of
    -energies / 16 over the first axis gives the probabilities back, each within 3.2 %; what is
    below 1.2e-7 becomes that.

    Args:
        path: .npz.
        probs: (*s, K), which sum to 1.
        keys: (K,) which labels these are.
        num_labels: L.

    Raises:
        ValueError: labels above 65535, for which there are no bits.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.npz")
    >>> write_packed(path, np.array([[0.9, 0.1]]), np.array([0, 15]), num_labels=21)
    >>> packed = read_packed(path)
    >>> packed.keys, packed.maps.ravel().round(2), packed.num_labels
    (array([ 0, 15]), array([0.9, 0.1], dtype=float32), 21)
    """
    if keys[-1] > HIGHEST:
        raise ValueError(
            f"{asked_for(path)}: expected labels up to {HIGHEST}. Received {keys[-1]}."
        )
    with np.errstate(divide="ignore"):
        codes = np.rint(-_STEPS * np.log(np.moveaxis(probs, -1, 0), dtype=np.float32))
    with open(path, "wb") as file:
        np.savez_compressed(
            file,
            keys=np.asarray(keys, np.uint8 if num_labels <= 256 else np.uint16),
            energies=np.clip(codes, 0, 255).astype(np.uint8),
            num_labels=np.int64(num_labels),
        )


def read_packed(path: Path) -> Packed:
    """Read what `write_packed` wrote, or `keys` and one other array (K, *s) of another program.

    Raises:
        ValueError: damaged, pickled, or arrays that do not fit together.
    """
    with naming(path):
        with zipfile.ZipFile(path) as file:
            members = npz_members(file)
            others = sorted(members.keys() - {KEYS, COUNT})
            if KEYS not in members or len(others) != 1:
                raise Unfit(
                    f'expected "{KEYS}" and one array of maps, perhaps "{COUNT}"; received '
                    f"{sorted(members)}; save one array of maps alone."
                )
            (name,) = others
            keys, count = _labels(path, file)
            maps = _member(path, file, name)
        if maps.ndim < 2 or len(maps) != len(keys):
            raise Unfit(
                f"expected a map for each of {len(keys)} keys, labels first; received `{name}` of "
                f"shape {maps.shape}."
            )
        if name == ENERGIES and maps.dtype == np.uint8:
            maps = np.exp(np.arange(256, dtype=np.float32) / -_STEPS)[maps]
            maps /= maps.sum(0)
        return Packed(keys, maps, count, name)


def read_labels(path: Path) -> tuple[np.ndarray, int | None]:
    """Of such a file `keys` and `num_labels` alone, without the maps; as in `Packed`."""
    with naming(path), zipfile.ZipFile(path) as file:
        return _labels(path, file)


def _labels(path: Path, file: zipfile.ZipFile) -> tuple[np.ndarray, int | None]:
    keys = _member(path, file, KEYS)
    count = int(_member(path, file, COUNT)) if COUNT in npz_members(file) else None
    ascending = keys.dtype.kind in "ui" and keys.ndim == 1 and np.all(np.diff(keys.astype(int)) > 0)
    if not ascending or keys[0] < 0 or (count is not None and keys[-1] >= count):
        raise Unfit(f"expected `keys` to be labels, ascending; received {keys[:8].tolist()}.")
    return keys.astype(np.int64), count


def _member(path: Path, file: zipfile.ZipFile, name: str) -> np.ndarray:
    try:
        return real(read_member(path, file, npz_members(file)[name]))
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise Unfit(
            "it holds Python objects, which are not read because such a file can run code; "
            "save plain arrays, numpy.savez(path, keys=keys, probs=maps)."
        ) from error
