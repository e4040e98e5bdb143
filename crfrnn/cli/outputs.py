"""What is written of a refined case: probabilities, or a label map."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crfrnn import files
from crfrnn.cli.cases import Case
from crfrnn.cli.packing import count_of, dense

_FEW = 8  # labels
UNKNOWN = 255  # VOC's value of points that have no part in a loss


@dataclasses.dataclass(frozen=True)
class Refined:
    """Probabilities of some labels, before and after.

    probs: (*S, K) float32, rows sum to 1.
    before: (*S, K), at the size of the image.
    labels: (K,) their numbers, ascending.
    num_labels: L, or None where no one knows.
    """

    probs: np.ndarray
    before: np.ndarray
    labels: np.ndarray
    num_labels: int | None

    def label_map(self) -> np.ndarray:
        """(*S) the most likely labels; 0 where the probabilities are NaN."""
        found = self.labels[self._likeliest]
        if np.isnan(self.probs.min()):
            found[np.isnan(self.probs).any(-1)] = 0
        return found

    def changed(self) -> float:
        """The share of the points whose most likely label changed."""
        return float(np.mean(self._likeliest != likeliest(self.before)))

    @functools.cached_property
    def _likeliest(self) -> np.ndarray:
        return likeliest(self.probs)


class How(NamedTuple):
    """What the outputs shall be like.

    palette: pictures get the colours of Pascal VOC; their values remain the labels.
    confidence: label maps are 255 where the most likely label has a lower probability; or None.
    packed: .npz as `crfrnn.pack` writes them.
    """

    palette: bool = False
    confidence: float | None = None
    packed: bool = False


def ending(image: Path, how: How, suffix: str | None = None) -> str:
    """The extension of results of such images: the one that is asked for, or that fits.

    Example:

    >>> ending(Path("a.jpg"), How(), ".NPY")
    '.npy'
    >>> ending(Path("a.jpg"), How()), ending(Path("a.mha"), How()), ending(Path("a.tif"), How())
    ('.png', '.nii.gz', '.tif')
    >>> ending(Path("a.jpg"), How(packed=True)), ending(Path("a.tif"), How(palette=True))
    ('.npz', '.png')
    """
    if suffix:
        if suffix.lower() not in files.KNOWN:
            raise ValueError(
                f"The suffix of results: expected one of {', '.join(files.KNOWN)}. Received "
                f"{suffix!r}."
            )
        return suffix.lower()
    found = files.suffix(image)
    if how.packed:
        return ".npz"
    if found in files.VOLUMES:
        return ".nii.gz"
    return ".tif" if found in (".tif", ".tiff") and not how.palette else ".png"


def check_ending(path: Path, how: How, disagreeing: bool) -> None:
    """ValueError where files of this name cannot be what is asked for.

    Args:
        path: of the output, or of any output of a folder.
        how: see there.
        disagreeing: whether points on which two CRFs disagree are to be marked.
    """
    found = files.suffix(path)
    if found not in files.ARRAYS:
        files.check_label_ending(path)
    if how.palette and found != ".png":
        raise ValueError(f"{path.name}: expected a .png with --palette. Received {found}.")
    if how.packed and found != ".npz":
        raise ValueError(f"{path.name}: expected a .npz with --packed. Received {found}.")
    if (how.confidence is not None or disagreeing) and found in files.ARRAYS:
        raise ValueError(
            f"{path.name}: only label maps have {UNKNOWN} where a label is uncertain. Write .png, "
            ".tif or .nii.gz with --confidence and --agree-with."
        )


def check(path: Path, case: Case, how: How, disagreeing: bool) -> None:
    """ValueError, before the work, where the output cannot hold what is asked for of a case."""
    path = files.asked_for(path)
    check_ending(path, how, disagreeing)
    if files.suffix(path) not in files.ARRAYS:
        files.check_label_format(path, case.image.ndim - 1, case.nifti)
    if how.packed and case.mask is not None and np.isnan(case.probs.min()):
        raise ValueError(
            f"{path.name}: expected probabilities without NaN, which --packed cannot hold. Write "
            ".npz without --packed, or label maps."
        )
    highest = case.probs.shape[-1] - 1 if case.keys is None else int(case.keys[-1])
    if files.suffix(path) in files.ARRAYS and not how.packed:
        if case.keys is not None:
            count_of(case.image.shape[:-1], case.keys, case.num_labels)
    elif highest > files.HIGHEST:
        raise ValueError(
            f"{path.name}: expected labels up to {files.HIGHEST}, for label maps and --packed. "
            f"Received labels up to {highest}."
        )
    if (how.confidence is not None or disagreeing or how.palette) and highest >= UNKNOWN:
        raise ValueError(
            f"{path.name}: expected labels below {UNKNOWN}, which means that there is none. "
            f"Received labels up to {highest}."
        )


def write(path: Path, found: Refined, case: Case, how: How, other: np.ndarray | None) -> None:
    """Write refined probabilities, in the layout of the ones read, or their label map.

    Args:
        path: .npy or .npz for probabilities; .png, .tif or NIfTI for the most likely labels.
        found: what was made of the case.
        case: what was read.
        how: see there.
        other: (*S) labels that another CRF has found: where they differ it is uncertain; or None.
    """
    if how.packed:
        count = found.num_labels or int(found.labels[-1]) + 1
        files.write_packed(path, found.probs, found.labels, count)
    elif files.suffix(path) in files.ARRAYS:
        probs = found.probs
        if found.num_labels == 1 or len(found.labels) != found.num_labels:
            probs = dense(probs, found.labels, found.num_labels)
        layout = case.layout
        if case.keys is not None:  # of which the file may have fewer
            layout = layout._replace(shape=(probs.shape[-1], *layout.grid))
        # nnU-Net's name means nnU-Net's order of axes, so that another one must not have it.
        files.write_array(path, layout.from_probs(probs), case.key or "probs")
    else:
        labels = found.label_map()
        if how.confidence is not None:
            labels[found.probs.max(-1) < how.confidence] = UNKNOWN
        if other is not None:
            labels[labels != other] = UNKNOWN
        if how.palette:
            _write_palette(path, labels)
        else:
            files.write_labels(path, labels, case.nifti)


def likeliest(probs: np.ndarray) -> np.ndarray:
    """probs.argmax(-1) of (*S, K), label by label where they are few: many times as fast.

    Example:

    >>> likeliest(np.array([[0.2, 0.8, 0.0], [0.5, 0.5, 0.0]]))
    array([1, 0])
    """
    if probs.shape[-1] > _FEW:
        return probs.argmax(-1)
    found, most = np.zeros(probs.shape[:-1], np.int64), probs[..., 0].copy()
    for label in range(1, probs.shape[-1]):
        found[probs[..., label] > most] = label
        np.maximum(most, probs[..., label], out=most)
    return found


def voc_palette() -> np.ndarray:
    """The colours (256, 3) uint8 of Pascal VOC: bits of the label, spread over the channels.

    Example:

    >>> voc_palette()[[0, 1, 15, 255]].tolist()
    [[0, 0, 0], [128, 0, 0], [192, 128, 128], [224, 224, 192]]
    """
    labels = np.arange(256)[:, None]
    colours = np.zeros((256, 3), int)
    for place in range(8):
        bits = labels >> (3 * place + np.arange(3)) & 1
        colours |= bits << (7 - place)
    return colours.astype(np.uint8)


def _write_palette(path: Path, labels: np.ndarray) -> None:
    from PIL import Image

    picture = Image.fromarray(labels.astype(np.uint8))
    picture.putpalette(voc_palette().tobytes())
    picture.save(path)
