"""Pictures, volumes and arrays in files: what the command and the data sets read and write.

Pictures (PNG, JPEG, TIFF, BMP) go through Pillow, volumes (NIfTI) through nibabel, arrays (.npy,
.npz) through NumPy, never with pickle. Every error names the file.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

NIFTI = (".nii", ".nii.gz")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
ARRAYS = (".npy", ".npz")
NNUNET_KEY = "probabilities"  # nnU-Net's name for the array in its .npz

_UNFINISHED = ".unfinished-"

# Without their palette, transparency or other colour model, which the CRF has no use for.
_COLOUR = ("P", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_GREY = ("1", "LA", "La")


def suffix(path: Path, known: tuple[str, ...] = NIFTI + PICTURES + ARRAYS) -> str:
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


def stem(path: Path, known: tuple[str, ...] = NIFTI + PICTURES + ARRAYS) -> str:
    """The name of a file without its extension, also without ".nii.gz".

    Args:
        path, known: see `suffix`.

    Example:

    >>> stem(Path("images/hippocampus_001.nii.gz"))
    'hippocampus_001'
    """
    return path.name[: -len(suffix(path, known))]


def read_picture(path: Path, *, classes: bool = False) -> np.ndarray:
    """Read a picture; a TIFF of several pages is a volume.

    Transparency is dropped. A palette is read as its colours, or as indices where the values are
    classes. 16-bit grey and 32-bit float pictures keep their values; of 16-bit colour Pillow reads
    the upper 8 bits, so that its values are 0..255 as well.

    Args:
        path: the file.
        classes: whether the values are classes: then one channel is expected.

    Returns:
        (H, W) grey, (H, W, 3) colour, or (D, H, W[, 3]); uint8, uint16, int32 or float32.

    Raises:
        ValueError: a file that cannot be read, or colours where classes are expected.

    Example:

    >>> read_picture(Path("a.png")).shape  # doctest: +SKIP
    (480, 640, 3)
    """
    needed("PIL", "Pictures", "cli")
    from PIL import Image, ImageSequence

    def array(frame: Any) -> np.ndarray:
        if classes:
            if len(frame.getbands()) > 1:
                raise _Unfit(
                    f"expected one channel whose values are classes; received mode {frame.mode}; "
                    "save the classes as grey values or as a palette."
                )
        elif frame.mode in _COLOUR:
            frame = frame.convert("RGB")
        elif frame.mode in _GREY:
            frame = frame.convert("L")
        return np.asarray(frame)

    with _naming(path), Image.open(path) as file:
        # Only TIFF: the further frames of a JPEG (MPO) or PNG are previews and animations.
        if file.format != "TIFF" or getattr(file, "n_frames", 1) == 1:
            return _real(array(file))
        return _real(np.stack([array(page) for page in ImageSequence.Iterator(file)]))


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
    with _naming(path):
        file = nibabel.load(path)
        if not isinstance(file, nibabel.Nifti1Pair):  # also the class behind NIfTI-2
            raise _Unfit(f"expected NIfTI; received {type(file).__name__}; convert it.")
        return file


def nifti_values(file: Any, path: Path) -> np.ndarray:
    """The values of an opened NIfTI file, in its own axis order, scaled as its header says.

    Args:
        file: from `open_nifti`.
        path: where it comes from, for errors.

    Raises:
        ValueError: damaged, or values that are no real numbers (such as RGB).
    """
    with _naming(path):
        return _real(np.asarray(file.dataobj))


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
    with _naming(path):
        try:
            file = np.load(path, allow_pickle=False)
            if isinstance(file, np.ndarray):
                return _real(file), None
            with file:
                if NNUNET_KEY not in file.files and len(file.files) != 1:
                    raise _Unfit(
                        f'expected one array, or one named "{NNUNET_KEY}"; received '
                        f"{sorted(file.files)}; save one alone."
                    )
                key = NNUNET_KEY if NNUNET_KEY in file.files else file.files[0]
                return _real(file[key]), key
        except ValueError as error:
            if "pickle" not in str(error):
                raise
            raise _Unfit(
                "it holds Python objects, or is no NumPy file at all. Objects are not read because "
                "such a file can run code; save an array of plain numbers."
            ) from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file so that it is complete or not there, however the process ends.

    Args:
        path: the file to write; its folder exists.

    Yields:
        Another path in the same folder, with the same extension, to write to. It becomes `path`
        when the block ends well and is deleted when it does not.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.txt")
    >>> with replacing(path) as part:
    ...     _ = part.write_text("text")
    >>> path.read_text()
    'text'
    """
    part = unfinished(path)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def unfinished(path: Path) -> Path:
    """Where a file is written before it is complete; it begins with a dot."""
    return path.with_name(f"{_UNFINISHED}{path.name}")


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
    ending = suffix(path)
    if ending in NIFTI and like is not None:
        return ending
    if ending in (".tif", ".tiff") or (ending == ".png" and axes == 2):
        return ending
    path = path.with_name(path.name.removeprefix(_UNFINISHED))  # the name that the user knows
    if ending in NIFTI:
        raise ValueError(
            f"{path}: NIfTI output takes its affine and header from a NIfTI image, and the image "
            "is none. Write .png, .tif, .npy or .npz."
        )
    if ending == ".png":
        raise ValueError(f"{path}: PNG cannot hold a volume. Write .nii.gz, .tif, .npy or .npz.")
    raise ValueError(
        f"{path}: label maps are written as .png, .tif or .nii.gz, which keep every value."
    )


def write_array(path: Path, array: np.ndarray, key: str | None = None) -> None:
    """Write one array as .npy, or as compressed .npz under the name `key`."""
    ending = suffix(path, ARRAYS)
    content: dict[str, Any] = {key or NNUNET_KEY: array}
    with open(path, "wb") as file:  # to a path that ends in .NPY NumPy would add .npy
        if ending == ".npy":
            np.save(file, array)
        else:
            np.savez_compressed(file, **content)


def needed(module: str, what: str, extra: str) -> Any:
    """Import an optional package, or say how to install it.

    Raises:
        ImportError: it is missing; the message names the command that installs it.

    Example:

    >>> needed("json", "Examples", "examples").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{what} need the package {module.split('.')[0]}: pip install 'crfrnn[{extra}]' "
            f"(in a clone: '.[{extra}]')."
        ) from error


class _Unfit(ValueError):
    """A file that can be read but holds the wrong thing."""


def _real(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "buif":
        raise _Unfit(f"expected real numbers; received {array.dtype}; convert the file.")
    return array


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file.")
    try:
        yield
    except _Unfit as error:
        raise ValueError(f"{path}: {error}") from error
    except Exception as error:  # libraries raise a dozen types (zlib, EOF, header, ...) here
        raise ValueError(
            f"cannot read {path}: {error}; the file is damaged or not what its name says: "
            f"fetch or export it again."
        ) from error
