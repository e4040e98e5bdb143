"""The formats of files, told by the ends of their names."""

from __future__ import annotations

from pathlib import Path

NIFTI = (".nii", ".nii.gz")
VOLUMES = (*NIFTI, ".mha", ".mhd", ".nrrd")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
ARRAYS = (".npy", ".npz")
HDF5 = (".h5", ".hdf5")
KNOWN = (*VOLUMES, *PICTURES, *ARRAYS, *HDF5)


def suffix(path: Path, known: tuple[str, ...] = KNOWN) -> str:
    """The extension of a file, ".nii.gz" as one, in lower case.

    Args:
        path: a file, which need not exist.
        known: the extensions to choose from.

    Returns:
        One of `known`.

    Raises:
        ValueError: another extension.

    Example:

    >>> suffix(Path("Case.NII.gz"))
    '.nii.gz'
    """
    found = next((s for s in known if path.name.lower().endswith(s)), None)
    if found is None:
        raise ValueError(f"{path}: expected one of {', '.join(known)}; convert it.")
    return found


def stem(path: Path, known: tuple[str, ...] = KNOWN) -> str:
    """The name of a file without its extension, also without ".nii.gz".

    Args:
        path, known: see `suffix`.

    Example:

    >>> stem(Path("images/hippocampus_001.nii.gz"))
    'hippocampus_001'
    """
    return path.name[: -len(suffix(path, known))]
