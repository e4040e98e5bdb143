"""Volumes: NIfTI, and the formats of ITK, each as an image of nibabel."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from crfrnn.files import sizes
from crfrnn.files.errors import Unfit, naming, real
from crfrnn.files.names import NIFTI, VOLUMES, suffix
from crfrnn.optional import needed

_CHUNK = 2**20  # bytes
_SPATIAL = 7  # bits of NIfTI's unit, the others are of time
_MM = {1: 1000.0, 3: 0.001}  # metres and micrometres


def open_volume(path: Path) -> Any:
    """Open a volume; the values of NIfTI are read when they are asked for.

    Args:
        path: NIfTI-1 or NIfTI-2 (.nii, .nii.gz), MetaImage (.mha, .mhd) or NRRD (.nrrd).

    Returns:
        `nibabel.Nifti1Image`, or its subclass for NIfTI-2. Axes (x, y, z[, K]), affine to
        right-anterior-superior.

    Raises:
        ValueError: a file that cannot be read or is something else.
        ImportError: nibabel is missing, or SimpleITK, which the formats other than NIfTI need.

    Example:

    >>> open_volume(Path("a.nii.gz")).header.get_zooms()  # doctest: +SKIP
    (0.5, 0.5, 2.0)
    """
    if suffix(path, VOLUMES) not in NIFTI:
        return _open_itk(path)
    nibabel = needed("nibabel", "NIfTI files", "medical")
    with naming(path):
        file = nibabel.load(path)
        if not isinstance(file, nibabel.Nifti1Pair):  # also the class behind NIfTI-2
            raise Unfit(f"expected NIfTI; received {type(file).__name__}; convert it.")
        points = float(np.prod(file.shape, dtype=float))
        size = points * file.get_data_dtype().itemsize
        packed = suffix(path) == ".nii.gz"
        sizes.check(size, sizes.on_disk(path) * (sizes.DEFLATE if packed else 1))
        if (file.dataobj.slope, file.dataobj.inter) != (1, 0):
            sizes.check(points * 8)  # scaled, each becomes a float64
        if packed:
            sizes.check(size, _unpacked(path))
        zooms = np.array(file.header.get_zooms()[:3])
        if not (np.isfinite(zooms).all() and zooms.all() and np.isfinite(file.affine).all()):
            raise Unfit(
                "expected the place of every point to follow from its header; received distances "
                f"{zooms.tolist()} and an affine of {file.affine[:3].ravel().tolist()}; repair it."
            )
        return file


def volume_values(file: Any, path: Path) -> np.ndarray:
    """The values of an opened volume, in its own axis order, scaled as its header says.

    Args:
        file: from `open_volume`.
        path: where it comes from, for errors.

    Raises:
        ValueError: damaged, or values that are no real numbers (such as RGB).
    """
    with naming(path):
        values = real(np.asarray(file.dataobj))
        # Vectors are stored behind a time axis: (x, y, z, 1, K).
        return values[:, :, :, 0] if values.ndim == 5 and values.shape[3] == 1 else values


def spacing(file: Any) -> tuple[float, ...]:
    """Distances in mm of neighbouring points of an opened volume, along its spatial axes.

    NIfTI may say that its unit is the metre or the micrometre; where it says none it is mm.
    """
    return tuple(float(zoom) * _mm(file) for zoom in file.header.get_zooms()[:3])


def affine(file: Any) -> np.ndarray:
    """(3, 4), from the indices of a point of an opened volume to its place in mm."""
    return file.affine[:3] * _mm(file)


def apart(one: Any, other: Any) -> float:
    """How far apart in mm two opened volumes have a point of the same indices, at most.

    That is at a corner of the first.
    """
    ends = [(0, size - 1) for size in one.shape[:3]]
    corners = np.array([*itertools.product(*ends, *[(0,)] * (3 - len(ends)))])
    shift = affine(other) - affine(one)
    return float(np.linalg.norm(corners @ shift[:, :3].T + shift[:, 3], axis=1).max())


def _mm(file: Any) -> float:
    return _MM.get(int(file.header["xyzt_units"]) & _SPATIAL, 1.0)


def _unpacked(path: Path) -> int:
    """Bytes in a gzip file, read to its end, where the checksum is: nibabel stops before it."""
    size = 0
    with gzip.open(path) as stream:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            sizes.check(size)
    return size


def _open_itk(path: Path) -> Any:
    itk = needed("SimpleITK", "MetaImage and NRRD files", "formats")
    nibabel = needed("nibabel", "Volumes", "medical")
    with naming(path):
        reader = itk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        if reader.GetDimension() != 3:
            raise Unfit(
                f"expected a volume of three axes; received {reader.GetDimension()}; save a "
                "picture as .png or .tif."
            )
        size = float(np.prod(reader.GetSize(), dtype=float)) * reader.GetNumberOfComponents()
        sizes.check(size)  # at least one byte each
        image = reader.Execute()
        values = np.moveaxis(itk.GetArrayFromImage(image), (0, 1, 2), (2, 1, 0))  # (x, y, z[, K])
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
        affine[:3, 3] = image.GetOrigin()
        affine[:2] *= -1  # ITK's axes point left and posterior
        wide = values.dtype in (np.int64, np.uint64)  # which NIfTI readers often refuse
        volume = nibabel.Nifti1Image(values.astype(np.float64) if wide else values, affine)
        volume.header.set_xyzt_units("mm")
        return volume
