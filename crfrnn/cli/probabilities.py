"""From what a file of probabilities holds to the probabilities that the CRF starts from."""

from __future__ import annotations

import warnings

import numpy as np

from crfrnn import files
from crfrnn.cli.fitting import Layout
from crfrnn.offline.inputs import SUM_TOLERANCE, probabilities
from crfrnn.offline.unaries import probs_from_labels, probs_from_logits
from crfrnn.offline.upsampling import upsample

UNKNOWN = 255  # the usual value of points without a label
# A soft map of 8 bits has more values than this, but for small ones; label maps rarely do.
_FEW = 32


def from_probabilities(
    array: np.ndarray, layout: Layout, *, is_picture: bool, sure: bool
) -> np.ndarray:
    """(*S, L) float32 from an array that holds probabilities; NaN stays NaN.

    Args:
        array: as in the file; of a picture the stored whole numbers.
        layout: of the array.
        is_picture: the largest number of the type stands for probability 1.
        sure: the user has said that they are probabilities of a foreground.

    Raises:
        ValueError: labels in place of probabilities, or numbers outside [0, 1].
    """
    if layout.num_labels == 1 and not sure and (found := _labels_in(array)):
        raise ValueError(
            f"expected probabilities. Received {found}, which seem to be labels. Save the "
            "network's probabilities; or add --labels-as-probs 0.9, the probability that a label "
            "is right; if they are probabilities, --layout foreground."
        )
    probs = scaled(array, is_picture)
    least, most = np.fmin.reduce(probs, None), np.fmax.reduce(probs, None)  # but for NaN
    if least < -files.ROUNDING or most > 1 + files.ROUNDING:
        stored = np.fmin.reduce(array, None), np.fmax.reduce(array, None)
        raise ValueError(
            f"expected probabilities in [0, 1]. Received {array.dtype} values in "
            f"[{stored[0]}, {stored[1]}]. Logits need a softmax or sigmoid: add --logits. "
            "Labels need --labels-as-probs 0.9, percent a division by 100."
        )
    probs = layout.to_probs(np.clip(probs, 0, 1))
    if is_picture and layout.num_labels == 1 and 0 < (most := probs[..., 1].max()) < 0.5:
        warnings.warn(
            f"the foreground is nowhere likelier than {most:.2g}. Of a picture of 8 bits 255 is "
            "probability 1, of one of 16 bits 65535.",
            stacklevel=2,
        )
    if ((probs == 0) | (probs == 1) | np.isnan(probs)).all():
        warnings.warn(
            "every probability is 0 or 1, so that the CRF has no doubts to work on. Save "
            "probabilities before the most likely label is taken; or give label maps and "
            "--labels-as-probs 0.9.",
            stacklevel=2,
        )
    return probs


def scaled(array: np.ndarray, is_picture: bool) -> np.ndarray:
    """float32; of a picture of 8 or 16 bits the largest number becomes 1."""
    if is_picture and array.dtype.kind in "ui" and array.dtype.itemsize <= 2:
        return array / np.float32(np.iinfo(array.dtype).max)
    return np.asarray(array, np.float32)


def of_eight_bits(array: np.ndarray) -> np.ndarray:
    """float32 from an array of 8 bits that sums to 255 over its first or last axis; else as it is.

    Each label is rounded by half a step, so that the sums are off by that for each of them; they
    are made 1.

    Example:

    >>> of_eight_bits(np.array([[200, 54], [0, 255]], np.uint8)).round(3)
    array([[0.787, 0.213],
           [0.   , 1.   ]], dtype=float32)
    """
    if array.dtype != np.uint8 or array.ndim < 2:
        return array
    for axis in (-1, 0):
        sums = array.sum(axis, np.float32, keepdims=True)
        if np.all(np.abs(sums - 255) <= array.shape[axis] / 2):
            return array / sums
    return array


def from_maps(maps: np.ndarray) -> np.ndarray:
    """(*s, K) float32 from maps of some labels (K, *s), probabilities that sum to 1 or 255.

    Of one label alone they are 1: it is everywhere.
    """
    if len(maps) > 1:
        return probabilities(np.moveaxis(of_eight_bits(maps), 0, -1)).astype(np.float32)
    certain = 255 if maps.dtype == np.uint8 and maps.max() > 1 else 1
    if not np.all(np.abs(maps / certain - 1) <= SUM_TOLERANCE):
        raise ValueError(
            "expected the map of one label alone to be 1 everywhere. Received values in "
            f"[{maps.min()}, {maps.max()}]: save the maps of the other labels with it."
        )
    return np.ones((*maps.shape[1:], 1), np.float32)


def from_logits(
    array: np.ndarray, layout: Layout, grid: tuple[int, ...] | None = None
) -> np.ndarray:
    """(*S, L) float32 from logits: their softmax; the sigmoid of a single one.

    grid: S, if they are fewer: the logits are upsampled.
    """
    logits = layout.labels_last(np.asarray(array, np.float32))
    return probs_from_logits(logits if grid in (None, layout.grid) else upsample(logits, grid))


def from_labels(
    array: np.ndarray, grid: tuple[int, ...], confidence: float, num_labels: int | None = None
) -> np.ndarray:
    """(*S, L) float32 from a label map (*S).

    Args:
        array: whole numbers, 0..L-1; a mask may be 0 and 255. 255 beside other labels means that
            there is none.
        grid: S.
        confidence: the probability that a label is right.
        num_labels: L; None: as many as there are.

    Raises:
        ValueError: another shape, or fractions.
    """
    if np.squeeze(array).shape != tuple(size for size in grid if size > 1):
        raise ValueError(
            f"expected a label map of the image's size {grid}. Received shape {array.shape}."
        )
    labels = files.whole_numbers(array.reshape(grid))
    if labels is None or labels.min() < 0:
        raise ValueError(
            "expected a label map, whole numbers from 0. Received values in "
            f"[{array.min()}, {array.max()}]; without --labels-as-probs they are probabilities."
        )
    values = np.unique(labels)
    if set(values) <= {0, UNKNOWN}:
        labels, values = labels // UNKNOWN, values // UNKNOWN
    known = values[values != UNKNOWN] if values[-1] == UNKNOWN else values
    count = num_labels or max(2, int(known.max()) + 1)
    unknown = unknown_among(count)
    return probs_from_labels(labels, count, confidence=confidence, unknown=unknown)


def _labels_in(array: np.ndarray) -> str | None:
    """What looks like labels in an array of one number per point; None for probabilities."""
    if not array.any():  # nothing anywhere, which a network may well say
        return None
    whole = files.whole_numbers(array)
    # Numbers that are nearly 0 or 1 are those of a network that is sure.
    if whole is None or (array.max() <= 1 + files.ROUNDING and (whole != array).any()):
        return None
    values = np.unique(whole)
    if len(values) > max(2, min(_FEW, array.size**0.5)):
        return None
    text = ", ".join(str(value) for value in values[:4])
    return f"the values {text}{', ...' if len(values) > 4 else ''} only"


def unknown_among(num_labels: int) -> int | None:
    """What points without a label have in maps of so many labels; None: 255 is one of them."""
    return UNKNOWN if num_labels <= UNKNOWN else None
