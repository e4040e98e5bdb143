"""What images and probabilities are like, measured without labels: noise, contrast, roughness."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Single hot points are no contrast.
_PERCENTILES = (0.5, 99.5)

# Of maps of which nothing is known: about the middle of the study's.
USUAL_ROUGHNESS = 0.1
USUAL_EXPLAINED = 0.1


class Statistics(NamedTuple):
    """What `first_guess` knows of an image and its probabilities.

    contrast, noise: (K,) standard deviations of the intensities and of their noise, in the
    image's units. detail: noise over contrast, 0..1, mean over channels. explained, roughness:
    0..1, see there. shape: (S,).
    """

    contrast: np.ndarray
    noise: np.ndarray
    detail: float
    explained: float
    roughness: float
    shape: tuple[int, ...]


def statistics(
    image: np.ndarray, probs: np.ndarray | None = None, mask: np.ndarray | None = None
) -> Statistics:
    """What `first_guess` goes by: of an image (*S, K), and of probabilities (*S, L) if there are.

    Points outside a mask (*S) of bool do not count, nor do the most extreme percent of the
    intensities. A channel without contrast counts as one of the others' mean contrast: any
    theta_beta will do for it.
    """
    points = _rows(image, mask).astype(np.float64)
    points = np.clip(points, *np.percentile(points, _PERCENTILES, axis=0))
    contrast = points.std(axis=0)
    varies = contrast > 0
    if not varies.any():
        contrast, varies = np.ones_like(contrast), ~varies
    contrast = np.where(varies, contrast, contrast[varies].mean())
    noisy = noise(image, mask)
    detail = float(np.clip(noisy / contrast, 0.01, 1.0)[varies].mean())
    explains, rough = USUAL_EXPLAINED, USUAL_ROUGHNESS
    if probs is not None:
        explains = explained(points, _rows(probs, mask))
        rough = max(roughness(probs, mask), 0.02)
    return Statistics(contrast, noisy, detail, explains, rough, image.shape[:-1])


def explained(points: np.ndarray, probs: np.ndarray) -> float:
    """Share of the variance of the intensities that the labels explain, mean over channels.

    Where each label has intensities of its own, equal intensities far away are evidence; where all
    labels look alike, they are none.

    Args:
        points: (N, K) intensities.
        probs: (N, L).

    Returns:
        0..1: variance between labels over total variance (eta squared of an analysis of variance).
        A channel without variance does not count.

    Example:

    >>> labels = np.eye(2)[[0, 0, 1, 1]]
    >>> explained(np.array([[1.0], [1.0], [4.0], [4.0]]), labels)
    1.0
    >>> explained(np.array([[1.0], [4.0], [1.0], [4.0]]), labels)
    0.0
    """
    centred = points - points.mean(axis=0)
    mass = np.maximum(probs.sum(axis=0, dtype=np.float64), 1e-9)  # (L,)
    means = (probs.T.astype(np.float64) @ centred) / mass[:, None]  # (L, K)
    between = (mass[:, None] * means**2).sum(axis=0)
    total = (centred**2).sum(axis=0)
    varies = total > 0
    return float(np.mean(between[varies] / total[varies])) if varies.any() else 0.0


def roughness(probs: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Share of the boundaries between most likely labels that a blur by 3 points wipes out.

    Noise makes islands and fringes that go at once; the outlines of objects stay. So this tells,
    without any truth, how much of a map is noise that neighbours could mend.

    Args:
        probs: (*S, L).
        mask: (*S) of bool, the points that count; None: all.

    Returns:
        0..1; 0 for a map without any boundary.

    Example:

    >>> halves = np.repeat([0.9, 0.1], 20)[:, None] * np.ones(30)
    >>> islands = np.where(np.random.default_rng(0).random((40, 30)) < 0.1, 1 - halves, halves)
    >>> [roughness(np.stack([1 - p, p], -1)) > 0.8 for p in (halves, islands)]
    [False, True]
    """
    before = _boundaries(probs, mask)
    after = _boundaries(blurred(probs, mask), mask)
    return float(max(0.0, 1.0 - after / before)) if before else 0.0


def noise(image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Standard deviation of the noise of an image, per channel.

    Neighbours differ by sqrt(2) times the noise wherever the picture itself is smooth, that is
    nearly everywhere, and a median does not care about the rest (Donoho's rule, applied to
    differences). Equal neighbours are left out: they are not free of noise but clipped, rounded or
    masked, as the black around an ultrasound fan.

    Args:
        image: (*S, K).
        mask: (*S) of bool, the points that count; None: all.

    Returns:
        (K,) in the image's units; 0 for a constant channel.

    Reference:
        D. Donoho, "De-noising by soft-thresholding", IEEE Trans. Information Theory 1995.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> step = np.repeat([0.0, 100.0], 50)[:, None, None]  # (100, 1, 1): an edge
    >>> noise(step + rng.normal(0, 3, (100, 80, 1))).round()
    array([3.])
    """
    image = image.astype(np.float64)
    if mask is not None:
        image[~mask] = np.nan  # no difference to NaN is larger than 0
    found = []
    for channel in np.moveaxis(image, -1, 0):
        differences = np.concatenate(
            [np.abs(np.diff(channel, axis=axis)).ravel() for axis in range(channel.ndim)]
        )
        differences = differences[differences > 0]
        # 0.6745 is the median of |x| for a standard normal x.
        found.append(np.median(differences) / (0.6745 * np.sqrt(2)) if differences.size else 0.0)
    return np.array(found)


def blurred(probs: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Sums over 3 points along each axis of the grid, of (*S, L), the border repeated.

    Points outside a mask (*S) add nothing.
    """
    if mask is not None:
        probs = np.where(mask[..., None], probs, 0)
    for axis in range(probs.ndim - 1):
        probs = _box(probs, axis)
    return probs


def _boundaries(probs: np.ndarray, mask: np.ndarray | None) -> int:
    """How many pairs of neighbours, both inside the mask, have different most likely labels."""
    labels = probs.argmax(-1)
    found = 0
    for axis in range(labels.ndim):
        differ = np.diff(labels, axis=axis) != 0
        if mask is not None:
            inside = np.moveaxis(mask, axis, 0)
            differ &= np.moveaxis(inside[:-1] & inside[1:], 0, axis)
        found += int(np.count_nonzero(differ))
    return found


def _rows(array: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The points (N, C) of (*S, C) that count."""
    return array.reshape(-1, array.shape[-1]) if mask is None else array[mask]


def _box(array: np.ndarray, axis: int) -> np.ndarray:
    """Sums of 3 points along an axis, the border repeated."""
    pad = [(0, 0)] * array.ndim
    pad[axis] = (1, 1)
    padded = np.moveaxis(np.pad(array, pad, mode="edge"), axis, 0)
    return np.moveaxis(padded[:-2] + padded[1:-1] + padded[2:], 0, axis)
