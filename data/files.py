"""Reading one image and its label from files; `crfrnn.files` knows the formats.

2-D: PNG, JPEG, TIFF, BMP. 3-D (or 2-D): NIfTI, .nii or .nii.gz, one axis more being channels.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crfrnn import files
from crfrnn.offline.intensities import normalise

KNOWN = files.VOLUMES + files.PICTURES


def read_case(
    image_path: Path,
    label_path: Path,
    num_labels: int,
    spacing: Sequence[float] | None = None,
    ignore: int | None = None,
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
        ignore: the value of points without a label, which is allowed as well.

    Returns:
        image (*S, K) float32 in [0, 1], label (*S) uint8, spacing (mm from NIfTI, else pixels).

    Raises:
        ValueError: unreadable file, image and label of different size or orientation, label values
            that are no classes, NaN, wrong spacing. The message names the file.

    Example:
        >>> read_case(Path("a.nii.gz"), Path("a_label.nii.gz"), 3)  # doctest: +SKIP
    """
    image, volume = _read(image_path)
    label, labelled = _read(label_path, classes=True)
    axes, label_axes = _axes(volume), _axes(labelled)
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
    if (
        volume is not None
        and (apart := files.apart(volume, labelled)) > min(files.spacing(volume)) / 2
    ):
        warnings.warn(
            f"{label_path}: its header puts points up to {apart:.3g} mm from where that of "
            f"{image_path} has them. They are taken as the same points, one by one.",
            stacklevel=2,
        )
    classes = np.unique(label)
    near = np.abs(classes - np.rint(classes)) < files.ROUNDING  # resampled labels
    known = [*range(num_labels), *([] if ignore is None else [ignore])]
    wrong = ~(near & np.isin(np.rint(classes), known))
    if wrong.any():
        raise ValueError(
            f"{label_path}: expected the classes 0..{num_labels - 1} named in dataset.json; "
            f"received values {classes[wrong][:8].tolist()}; relabel the file, extend "
            f'dataset.json, or name the value of points without label there as "ignore".'
        )
    if spacing is None:
        spacing = (1.0,) * label.ndim if volume is None else files.spacing(volume)[: label.ndim]
    spacing = tuple(map(float, spacing))
    if len(spacing) != label.ndim or not all(0 < s < np.inf for s in spacing):
        raise ValueError(
            f"{image_path}: expected {label.ndim} positive spacings; received {spacing}; "
            f'correct the header or "spacing" in dataset.json.'
        )
    eight_bit_picture = volume is None and image.dtype == "uint8"
    try:
        image = np.float32(image) / 255 if eight_bit_picture else normalise(image)
    except ValueError as error:
        raise ValueError(f"{image_path}: {error}") from None
    return image, np.rint(label).astype("uint8"), spacing


def _read(path: Path, classes: bool = False):
    """Array and volume (None for pictures) of one file, in the same order of axes."""
    if files.suffix(path, KNOWN) in files.PICTURES:
        return files.read_picture(path, classes=classes), None
    import nibabel  # only volumes need it

    file = files.open_volume(path)
    file = nibabel.Nifti1Image(files.volume_values(file, path), file.affine, file.header)
    if len(file.shape) > 2:
        file = nibabel.as_closest_canonical(file)
    return np.asarray(file.dataobj), file


def _axes(volume):
    """Axis codes, None for pictures."""
    if volume is None:
        return None
    from nibabel import aff2axcodes

    return aff2axcodes(volume.affine)
