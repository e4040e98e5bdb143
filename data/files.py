"""Reading one image and its label from files.

2-D: PNG, JPEG, TIFF, BMP. 3-D (or 2-D): NIfTI, .nii or .nii.gz, one axis more being channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .prepare import normalise

NIFTI = (".nii", ".nii.gz")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def read_case(
    image_path: Path, label_path: Path, num_labels: int, spacing: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Read and prepare one image and its label.

    8-bit pictures are divided by 255. All else (NIfTI, 16-bit and float pictures), whose
    intensities have no fixed range, goes through `normalise`. NIfTI axes are brought to the order
    and direction right, anterior, superior, so that files of several scanners agree. Transparency
    is dropped; palettes are colours in images and classes in labels.

    Args:
        image_path, label_path: files, formats at the head of this module.
        num_labels: classes allowed in the label, 0..num_labels-1.
        spacing: overrides the file's: one positive number per axis of the label.

    Returns:
        image (*S, K) float32 in [0, 1], label (*S) uint8, spacing (mm from NIfTI, else pixels).

    Raises:
        ValueError: unreadable file, image and label of different size or orientation, label values
            that are no classes, NaN, wrong spacing. The message names the file.

    Example:
        >>> read_case(Path("a.nii.gz"), Path("a_label.nii.gz"), 3)  # doctest: +SKIP
    """
    image, header, axes = _read(image_path)
    label, _, label_axes = _read(label_path, is_label=True)
    if axes != label_axes:
        raise ValueError(
            f"expected image and label of one orientation; received {axes} in {image_path} and "
            f"{label_axes} in {label_path}; repair the headers."
        )
    if image.ndim == label.ndim:
        image = image[..., None]  # (*S, 1)
    if image.shape[:-1] != label.shape:
        raise ValueError(
            f"expected image and label of one size; received {image.shape[:-1]} in {image_path} "
            f"and {label.shape} in {label_path}; pair the right files in dataset.json."
        )
    classes = np.unique(label)
    if not np.isin(classes, np.arange(num_labels)).all():
        raise ValueError(
            f"{label_path}: expected the classes 0..{num_labels - 1} named in dataset.json; "
            f"received values {classes[:8].tolist()}; relabel the file or extend dataset.json."
        )
    spacing = tuple(map(float, header[: label.ndim] if spacing is None else spacing))
    if len(spacing) != label.ndim or not all(0 < s < np.inf for s in spacing):
        raise ValueError(
            f"{image_path}: expected {label.ndim} positive spacings; received {spacing}; "
            f'correct the header or "spacing" in dataset.json.'
        )
    eight_bit_picture = axes is None and image.dtype == "uint8"
    try:
        image = np.float32(image) / 255 if eight_bit_picture else normalise(image)
    except ValueError as error:
        raise ValueError(f"{image_path}: {error}") from None
    return image, label.astype("uint8"), spacing


def _read(path: Path, is_label: bool = False):
    """Array, spacing, axis codes (None for pictures) of one file."""
    read = _read_nifti if _suffix(path) in NIFTI else _read_picture
    try:
        array, spacing, axes = read(path, is_label)
    except Exception as error:  # libraries raise a dozen types (zlib, EOF, header, ...) here
        raise ValueError(
            f"cannot read {path}: {error}; the file is damaged or not what its name says: "
            f"fetch or export it again."
        ) from error
    if array.dtype.kind not in "buif":
        raise ValueError(
            f"{path}: expected real numbers; received {array.dtype}; convert the file."
        )
    return array, spacing, axes


def _read_nifti(path: Path, is_label: bool):
    import nibabel  # only volumes need it

    file = nibabel.load(path)
    if not isinstance(file, nibabel.Nifti1Pair):  # also the class behind Nifti1Image and NIfTI-2
        raise ValueError(f"expected NIfTI; received {type(file).__name__}")
    if len(file.shape) > 2:
        file = nibabel.as_closest_canonical(file)
    return np.asarray(file.dataobj), file.header.get_zooms(), nibabel.aff2axcodes(file.affine)


def _read_picture(path: Path, is_label: bool):
    from PIL import Image  # only pictures need it

    with Image.open(path) as file:
        if not is_label and file.mode in ("P", "PA", "RGBA", "CMYK", "YCbCr"):
            file = file.convert("RGB")
        elif not is_label and file.mode in ("1", "LA"):
            file = file.convert("L")
        array = np.asarray(file)
    if is_label and array.ndim != 2:
        raise ValueError(
            f"expected one channel whose values are classes; received mode {file.mode}"
        )
    return array, (1.0, 1.0), None


def stem(path: Path) -> str:
    """File name without extension, also without ".nii.gz".

    Args:
        path: an image file.

    Returns:
        The name.

    Raises:
        ValueError: an extension that cannot be read.

    Example:
        >>> stem(Path("images/hippocampus_001.nii.gz"))
        'hippocampus_001'
    """
    return path.name[: -len(_suffix(path))]


def _suffix(path: Path) -> str:
    suffix = next((s for s in NIFTI + PICTURES if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise ValueError(f"{path}: expected one of {', '.join(NIFTI + PICTURES)}; convert it.")
    return suffix
