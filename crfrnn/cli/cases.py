"""One case from files: an image, its probabilities, perhaps its true labels; and what is written.

Also which files of several folders belong together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crfrnn import files
from crfrnn.cli import layouts
from crfrnn.cli.layouts import Layout

# nnU-Net numbers the channels of an image: case_0000.nii.gz, case_0001.nii.gz.
_CHANNEL = re.compile(r"(.+)_(\d{4})")
# Which of two files of one name holds the probabilities: nnU-Net saves case.nii.gz, its label map,
# next to case.npz.
_PREFERENCE = (".npz", ".npy", ".nii.gz", ".nii")


class Paths(NamedTuple):
    """The files of one case.

    name: what they have in common.
    image: one file, or one for each channel.
    """

    name: str
    image: tuple[Path, ...]
    probs: Path
    labels: Path | None = None


class Case(NamedTuple):
    """What is in the files of one case.

    image: (*S, K), the values of the file.
    probs: (*S, L) float32.
    labels: (*S) integers, or None.
    spacing: distance of neighbouring points along each axis, from NIfTI (mm); else None.
    layout: of the probabilities in their file; key: their name in a .npz.
    nifti: the opened NIfTI file of the image, or None.
    """

    image: np.ndarray
    probs: np.ndarray
    labels: np.ndarray | None
    spacing: tuple[float, ...] | None
    layout: Layout
    key: str | None
    nifti: Any


def read(paths: Paths, layout: str = "auto") -> Case:
    """Read the files of one case and bring the probabilities to the axes of the image.

    Args:
        paths: of a picture, NIfTI or array each. Probabilities are arrays, NIfTI (x, y, z[, L]), or
            the foreground's as a grey picture (0 = 0, 255 or 65535 = 1).
        layout: of the probabilities; see `layouts.find`.

    Raises:
        ValueError: a file that cannot be read, or files that do not belong together.
    """
    image, grids, nifti = _read_image(paths.image)
    array, key, other = _read_probs(paths.probs)
    _same_orientation(paths.probs, other, nifti)
    try:
        found = layouts.find(
            array.shape,
            grids,
            layout,
            is_nnunet=key == files.NNUNET_KEY,
            is_nifti=nifti is not None,
        )
    except ValueError as error:
        sizes = f"image {paths.image[0]} of shape {image.shape}"
        raise ValueError(f"{paths.probs} does not fit the {sizes}. {error}") from None
    probs = found.to_probs(np.asarray(array, np.float32))
    if probs.size and not (probs.min() >= 0 and probs.max() <= 1):
        raise ValueError(
            f"{paths.probs}: expected probabilities in [0, 1]. Received {array.dtype} values in "
            f"[{array.min()}, {array.max()}]. Logits need a softmax (or sigmoid), percent a "
            "division by 100."
        )
    labels = None if paths.labels is None else _read_labels(paths.labels, probs, nifti)
    spacing = None
    if nifti is not None:
        spacing = tuple(float(s) for s in nifti.header.get_zooms()[: len(found.grid)])
    image = image.reshape(*found.grid, -1)  # (*S, K)
    return Case(image, probs, labels, spacing, found, key, nifti)


def write(path: Path, probs: np.ndarray, case: Case) -> None:
    """Write refined probabilities, in the layout of the ones read, or their label map.

    Args:
        path: .npy or .npz for probabilities; .png, .tif or NIfTI for the most likely labels.
        probs: (*S, L) float32.
        case: what they were made of.
    """
    if files.suffix(path) in files.ARRAYS:
        files.write_array(path, case.layout.from_probs(probs), case.key)
    else:
        files.write_labels(path, probs.argmax(-1), case.nifti)


def find(
    images: Path,
    probs: Path,
    labels: Path | None = None,
    *,
    images_glob: str = "*",
    probs_glob: str = "*",
    results: Path | None = None,
) -> tuple[list[Paths], dict[str, str]]:
    """Which files of the folders belong together: those with one name before the extension.

    An image may be called as nnU-Net has it, with the number of its channel: case_0000.nii.gz and
    case_0001.nii.gz belong to case.npz, and their channels are stacked.

    Args:
        images, probs, labels: folders.
        images_glob, probs_glob: which of their files count; "**/*.png" looks into folders below.
        results: a folder whose files do not count, where it lies below one of the others.

    Returns:
        The cases in the order of their names, and the names of incomplete ones with the reason.

    Raises:
        ValueError: no image and no probabilities of one name.
    """
    pictured = _by_name(images, images_glob, results)
    likely = _by_name(probs, probs_glob, results)
    labelled = {} if labels is None else _by_name(labels, "**/*" if "**" in images_glob else "*")

    channels: dict[str, dict[int, list[Path]]] = {}
    for name, paths in pictured.items():
        numbered = _CHANNEL.fullmatch(name)
        if name not in likely and numbered:
            channels.setdefault(numbered[1], {})[int(numbered[2])] = paths
        else:
            channels.setdefault(name, {})[0] = paths

    cases, problems = [], {}
    for name in sorted({*channels, *likely}):
        numbers = channels.get(name, {})
        several = next((paths for paths in numbers.values() if len(paths) > 1), None)
        if not numbers:
            problems[name] = f"there is no image for {likely[name][0]}"
        elif name not in likely:
            problems[name] = f"there are no probabilities for {next(iter(numbers.values()))[0]}"
        elif labels is not None and name not in labelled:
            problems[name] = f"there are no labels for {likely[name][0]}"
        elif several:
            problems[name] = (
                f"several images have this name: {', '.join(map(str, several))}; choose by --glob"
            )
        elif sorted(numbers) != list(range(len(numbers))):
            found = ", ".join(f"_{number:04d}" for number in sorted(numbers))
            problems[name] = (
                f"expected the channels _0000, _0001, ... without gaps; received {found}"
            )
        else:
            image = tuple(numbers[number][0] for number in sorted(numbers))
            truth = labelled[name][0] if labels is not None else None
            cases.append(Paths(name, image, min(likely[name], key=_preference), truth))
    if not cases:
        example = "".join(f" {name}: {text}." for name, text in list(problems.items())[:1])
        raise ValueError(
            f"Expected files of one name in {images} ({images_glob}) and {probs} ({probs_glob}), "
            f"such as a.png and a.npy. Received {len(pictured)} images and {len(likely)} "
            f"probabilities, none of which belong together.{example}"
        )
    return cases, problems


def _by_name(folder: Path, glob: str, without: Path | None = None) -> dict[str, list[Path]]:
    """The readable files of a folder by their path below it, without extension.

    without: a folder below it that does not count.
    """
    found: dict[str, list[Path]] = {}
    hidden = None if without is None else without.resolve()
    if hidden is not None and not hidden.is_relative_to(folder.resolve()):
        hidden = None
    for path in sorted(folder.glob(glob)):
        # Names that begin with a dot are unfinished files, or macOS's.
        if not path.is_file() or path.name.startswith("."):
            continue
        if hidden is not None and path.parent.resolve().is_relative_to(hidden):
            continue
        try:
            name = path.relative_to(folder).with_name(files.stem(path)).as_posix()
        except ValueError:  # .json, .pkl, .txt
            continue
        found.setdefault(name, []).append(path)
    return found


def _preference(path: Path) -> int:
    ending = files.suffix(path)
    return _PREFERENCE.index(ending) if ending in _PREFERENCE else len(_PREFERENCE)


def _read_image(paths: Sequence[Path]) -> tuple[np.ndarray, list[tuple[int, ...]], Any]:
    """Values, what their S may be, and the NIfTI file they come from."""
    parts = [_read_channels(path) for path in paths]
    first, grids, nifti = parts[0]
    if len(parts) == 1:
        return parts[0]
    for path, (values, _, _) in zip(paths, parts, strict=True):
        if values.shape != first.shape or values.shape not in grids:
            raise ValueError(
                f"{path}: expected one channel of the size of {paths[0]}, {first.shape}. "
                f"Received shape {values.shape}."
            )
    return np.stack([values for values, _, _ in parts], -1), [first.shape], nifti


def _read_channels(path: Path) -> tuple[np.ndarray, list[tuple[int, ...]], Any]:
    ending = files.suffix(path)
    if ending in files.NIFTI:
        nifti = files.open_nifti(path)
        values = files.nifti_values(nifti, path)
        if values.ndim == 5 and values.shape[3] == 1:  # vectors are stored behind a time axis
            values = values[:, :, :, 0]
        return values, [values.shape[:3]], nifti
    if ending in files.ARRAYS:
        values, _ = files.read_array(path)
        return values, [values.shape, values.shape[:-1]], None
    values = files.read_picture(path)
    # A page of a TIFF is (H, W) or (H, W, 3), and a picture 3 pixels wide is rare.
    colour = values.ndim > 2 and values.shape[-1] == 3
    return values, [values.shape[:-1] if colour else values.shape], None


def _read_probs(path: Path) -> tuple[np.ndarray, str | None, Any]:
    """Values, their name in a .npz, and the NIfTI file they come from."""
    ending = files.suffix(path)
    if ending in files.ARRAYS:
        return (*files.read_array(path), None)
    if ending in files.NIFTI:
        nifti = files.open_nifti(path)
        return files.nifti_values(nifti, path), None, nifti
    values = files.read_picture(path)
    if values.dtype.kind in "ui" and values.dtype.itemsize <= 2:
        values = values / np.float32(np.iinfo(values.dtype).max)
    return values, None, None


def _read_labels(path: Path, probs: np.ndarray, nifti: Any) -> np.ndarray:
    ending, num_labels = files.suffix(path), probs.shape[-1]
    if ending in files.NIFTI:
        other = files.open_nifti(path)
        _same_orientation(path, other, nifti)
        labels = files.nifti_values(other, path)
    elif ending in files.ARRAYS:
        labels, _ = files.read_array(path)
    else:
        labels = files.read_picture(path, classes=True)
    if labels.shape != probs.shape[:-1]:
        raise ValueError(
            f"{path}: expected labels of the image's size {probs.shape[:-1]}. "
            f"Received shape {labels.shape}."
        )
    classes = np.unique(labels)
    if num_labels == 2 and classes.tolist() == [0, 255]:
        labels = labels // 255  # the usual way to store one mask
    elif not np.isin(classes, np.arange(num_labels)).all():
        raise ValueError(
            f"{path}: expected labels 0..{num_labels - 1}, one for each of the "
            f"{num_labels} probabilities. Received values {classes[:8].tolist()}."
        )
    return labels.astype(np.uint16)


def _same_orientation(path: Path, other: Any, nifti: Any) -> None:
    """ValueError where two NIfTI files of one case store their axes differently."""
    if other is None or nifti is None:
        return
    from nibabel import aff2axcodes

    expected, received = aff2axcodes(nifti.affine), aff2axcodes(other.affine)
    if expected != received:
        raise ValueError(
            f"{path}: expected the orientation of the image, {expected}. Received {received}. "
            "Resample the file to the image, or repair the headers."
        )
