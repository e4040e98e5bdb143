"""Arrays: .npy, .npz and HDF5, never with pickle."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from crfrnn.files import sizes
from crfrnn.files.errors import Unfit, naming, real
from crfrnn.files.names import ARRAYS, HDF5, suffix
from crfrnn.optional import needed

NNUNET_KEY = "probabilities"  # nnU-Net's name for the array in its .npz
NNUNET_V1_KEY = "softmax"
_KEYS = (NNUNET_KEY, NNUNET_V1_KEY)


def read_array(path: Path) -> tuple[np.ndarray, str | None]:
    """Read a .npy, .npz or HDF5 file.

    Args:
        path: the file. A .npz or HDF5 file holds one array, or one named "probabilities" or
            "softmax" among others.

    Returns:
        The array, and its name in a .npz or HDF5 file (None in a .npy).

    Raises:
        ValueError: damaged, Python objects in place of numbers, or several arrays.
        ImportError: h5py is missing, which HDF5 needs.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.npz")
    >>> np.savez(path, probabilities=np.ones((2, 3)), spacing=np.ones(2))
    >>> array, key = read_array(path)
    >>> array.shape, key
    ((2, 3), 'probabilities')
    """
    ending = suffix(path)
    if ending in HDF5:
        return _read_hdf5(path)
    with naming(path):
        try:
            if ending == ".npy":
                with open(path, "rb") as file:
                    return _some(_stream(file, sizes.on_disk(path))), None
            return _read_npz(path)
        except ValueError as error:
            if "pickle" not in str(error) and "magic string" not in str(error):
                raise
            raise Unfit(
                "it holds Python objects, or is no NumPy file at all. Objects are not read because "
                "such a file can run code; save an array of plain numbers."
            ) from error


def write_array(path: Path, array: np.ndarray, key: str | None = None) -> None:
    """Write one array as .npy, or as compressed .npz under the name `key`."""
    ending = suffix(path, ARRAYS)
    content: dict[str, Any] = {key or NNUNET_KEY: array}
    with open(path, "wb") as file:  # to a path that ends in .NPY NumPy would add .npy
        if ending == ".npy":
            np.save(file, array)
        else:
            np.savez_compressed(file, **content)


def _read_npz(path: Path) -> tuple[np.ndarray, str]:
    with zipfile.ZipFile(path) as file:
        members = npz_members(file)
        key = _key(list(members))
        return _some(read_member(path, file, members[key])), key


def npz_members(file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The arrays of an opened .npz by name; Unfit where two have the same."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in file.infolist():
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise Unfit(f'expected arrays of different names; received two "{name}"; save one.')
        members[name] = info
    return members


def read_member(path: Path, file: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array of a .npz that is opened; Unfit if it is too large, or damaged."""
    packed = sizes.DEFLATE if info.compress_type == zipfile.ZIP_DEFLATED else 1
    sizes.check(info.file_size, packed * min(info.compress_size, sizes.on_disk(path)))
    with file.open(info) as stream:
        array = _stream(stream, info.file_size)
        if stream.read(1):  # at the end of the member its checksum is compared
            raise Unfit("there is more in it than its header says; the file is damaged.")
    return array


def _stream(file: IO[bytes], size: int) -> np.ndarray:
    """The array in a stream of so many bytes, whose header is compared with that first."""
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise Unfit(f"expected version 1 or 2 of the format; received {version}; save it again.")
    shape, _, dtype = read_header(file)
    if not dtype.hasobject:
        sizes.check(float(np.prod(shape, dtype=float)) * dtype.itemsize, size)
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _read_hdf5(path: Path) -> tuple[np.ndarray, str]:
    h5py = needed("h5py", "HDF5 files", "formats")
    with naming(path), h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        key = _key(names)
        dataset = file[key]
        # Pieces that were never written take no room in the file, and all of it in memory.
        sizes.check(dataset.nbytes, sizes.DEFLATE * sizes.on_disk(path))
        return _some(dataset[()]), key


def _some(array: np.ndarray) -> np.ndarray:
    """Real numbers along some axis."""
    if not array.ndim:
        raise Unfit("expected an array; received a single number.")
    return real(array)


def _key(names: list[str]) -> str:
    known = [name for name in _KEYS if name in names] or names
    if len(known) != 1:
        raise Unfit(
            f'expected one array, or one named "{NNUNET_KEY}"; received '
            f"{sorted(names)}; save one alone."
        )
    return known[0]
