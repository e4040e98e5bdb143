"""Label maps as pictures or NIfTI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from crfrnn.files.names import NIFTI, suffix
from crfrnn.files.writing import asked_for

# How far rounding and resampling move whole numbers and probabilities.
ROUNDING = 1e-3
HIGHEST = 2**16 - 1  # label that files have bits for
LABEL_MAPS = (".png", ".tif", ".tiff", *NIFTI)  # which keep every value


def write_labels(path: Path, labels: np.ndarray, like: Any = None) -> None:
    """Write a label map as .png, .tif, .tiff, .nii or .nii.gz, in 8 bits or, if needed, 16.

    Args:
        path: the file.
        labels: (H, W) or (D, H, W) integers, 0..65535; a volume needs .tif (its slices become
            pages) or NIfTI.
        like: for NIfTI, the opened file of the image, whose affine and header are kept.

    Raises:
        ValueError: a format that cannot hold it.

    Example:

    >>> write_labels(Path("labels.png"), np.eye(3, dtype=int))  # doctest: +SKIP
    """
    labels = labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)
    ending = check_label_format(path, labels.ndim, like)
    if ending in NIFTI:
        header = like.header.copy()
        header.set_data_dtype(labels.dtype)
        header.set_intent("none")  # that of the image may be "vector"
        header["cal_min"] = header["cal_max"] = 0  # a display range of intensities
        type(like)(labels, like.affine, header).to_filename(path)
        return
    from PIL import Image

    first, *others = [Image.fromarray(page) for page in labels.reshape(-1, *labels.shape[-2:])]
    if ending == ".png":
        first.save(path)
    else:
        first.save(path, save_all=True, append_images=others, compression="tiff_deflate")


def check_label_format(path: Path, axes: int, like: Any = None) -> str:
    """The extension of a label map; ValueError where it cannot hold one of so many axes."""
    ending = check_label_ending(path)
    if ending in NIFTI and like is not None:
        return ending
    if ending in (".tif", ".tiff") or (ending == ".png" and axes == 2):
        return ending
    path = asked_for(path)
    if ending in NIFTI:
        raise ValueError(
            f"{path}: NIfTI output takes its affine and header from a NIfTI image, and the image "
            "is none. Write .png, .tif, .npy or .npz."
        )
    raise ValueError(f"{path}: PNG cannot hold a volume. Write .nii.gz, .tif, .npy or .npz.")


def check_label_ending(path: Path) -> str:
    """The extension of a label map; ValueError where no label map has it."""
    ending = suffix(path)
    if ending not in LABEL_MAPS:
        raise ValueError(
            f"{asked_for(path)}: label maps are written as .png, .tif or .nii.gz, which keep every "
            "value."
        )
    return ending


def whole_numbers(values: np.ndarray) -> np.ndarray | None:
    """Labels of a file that has been resampled, such as 1.0000152, as integers; None if none.

    Example:

    >>> whole_numbers(np.array([0, 1.0000152])), whole_numbers(np.array([0, 0.5]))
    (array([0, 1]), None)
    """
    if values.dtype.kind in "bui":
        return values.astype(np.int64)
    if not np.isfinite(values).all() or np.abs(values).max() > 2**31:
        return None
    rounded = np.rint(values)
    return rounded.astype(np.int64) if np.abs(values - rounded).max() < ROUNDING else None
