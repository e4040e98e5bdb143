"""Arrays: .npy and .npz, never with pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from crfrnn.files.errors import Unfit, naming, real
from crfrnn.files.names import ARRAYS, suffix

NNUNET_KEY = "probabilities"  # nnU-Net's name for the array in its .npz


def read_array(path: Path) -> tuple[np.ndarray, str | None]:
    """Read a .npy or .npz file.

    Args:
        path: the file. A .npz holds one array, or one named "probabilities" among others.

    Returns:
        The array, and its name in a .npz (None in a .npy).

    Raises:
        ValueError: damaged, Python objects in place of numbers, or several arrays.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.npz")
    >>> np.savez(path, probabilities=np.ones((2, 3)), spacing=np.ones(2))
    >>> array, key = read_array(path)
    >>> array.shape, key
    ((2, 3), 'probabilities')
    """
    with naming(path):
        try:
            file = np.load(path, allow_pickle=False)
            if isinstance(file, np.ndarray):
                return real(file), None
            with file:
                if NNUNET_KEY not in file.files and len(file.files) != 1:
                    raise Unfit(
                        f'expected one array, or one named "{NNUNET_KEY}"; received '
                        f"{sorted(file.files)}; save one alone."
                    )
                key = NNUNET_KEY if NNUNET_KEY in file.files else file.files[0]
                return real(file[key]), key
        except ValueError as error:
            if "pickle" not in str(error):
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
