"""NIfTI volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from crfrnn.files.errors import Unfit, naming, real
from crfrnn.optional import needed


def open_nifti(path: Path) -> Any:
    """Open a NIfTI file with nibabel; its values are read when they are asked for.

    Args:
        path: a .nii or .nii.gz file, NIfTI-1 or NIfTI-2.

    Returns:
        `nibabel.Nifti1Image`, or its subclass for NIfTI-2.

    Raises:
        ValueError: a file that cannot be read or is something else.
        ImportError: nibabel is missing.

    Example:

    >>> open_nifti(Path("a.nii.gz")).header.get_zooms()  # doctest: +SKIP
    (0.5, 0.5, 2.0)
    """
    nibabel = needed("nibabel", "NIfTI files", "medical")
    with naming(path):
        file = nibabel.load(path)
        if not isinstance(file, nibabel.Nifti1Pair):  # also the class behind NIfTI-2
            raise Unfit(f"expected NIfTI; received {type(file).__name__}; convert it.")
        return file


def nifti_values(file: Any, path: Path) -> np.ndarray:
    """The values of an opened NIfTI file, in its own axis order, scaled as its header says.

    Args:
        file: from `open_nifti`.
        path: where it comes from, for errors.

    Raises:
        ValueError: damaged, or values that are no real numbers (such as RGB).
    """
    with naming(path):
        return real(np.asarray(file.dataobj))
