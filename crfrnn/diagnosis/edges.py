"""How strongly the edges of an image act on the bilateral kernel of a CRF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from crfrnn.offline.intensities import PERCENTILES
from crfrnn.parameters.measures import noise

SAMPLE = 2**16  # neighbour pairs that are looked at, along each axis
POINTS = 64  # whose kernels are summed
PAIRS = 10**7  # of points in these sums, at most: below a second
REACH = 3  # bandwidths: beyond lie less than 3 in 1000 of a Gaussian's neighbours


class Edges(NamedTuple):
    """What the bilateral kernel sees of an image. Distances are in bandwidths.

    contrast: (P,) intensity difference |dI / theta_beta| of neighbouring points, a sample.
    factor: (P,) exp(-contrast^2 / 2), by which it weakens the kernel between them: 1 where the CRF
        sees no edge, 0 where it sees a wall.
    range: intensity range of the image over theta_beta: |(high - low) / theta_beta| with the 0.5
        and 99.5 percentiles of each channel.
    noise: noise of the image over theta_beta, likewise.
    neighbours: how many neighbours the kernel finds for a point: the median over points near
        boundaries of the sum of the kernel over all other points.
    without_edges: the same without intensities: how many are near.
    theta: (S,) theta_alpha along each axis, in points.
    """

    contrast: np.ndarray
    factor: np.ndarray
    range: float
    noise: float
    neighbours: float
    without_edges: float
    theta: np.ndarray

    @property
    def strength(self) -> float:
        """Share of the near points that the intensities keep out, 0..1."""
        return 1 - self.neighbours / self.without_edges if self.without_edges else 0.0


def measure(
    image: np.ndarray,
    probs: np.ndarray,
    *,
    theta_alpha: Any,
    theta_beta: Any,
    spacing: Any = None,
    mask: np.ndarray | None = None,
    seed: int = 0,
) -> Edges:
    """Measures what the bilateral kernel sees.

    Args:
        image: (*S, K).
        probs: (*S, L), whose boundaries are where edges matter.
        theta_alpha, theta_beta, spacing: see `refine`.
        mask: (*S) of bool, the points that count; None: all.
        seed: of the sample of points.

    Returns:
        `Edges`.

    Example:

    >>> image = np.repeat([0.0, 30.0], 20)[None, :, None]  # (1, 40, 1): one edge
    >>> probs = np.stack([image[..., 0] < 1, image[..., 0] > 1], -1)
    >>> found = measure(image, probs, theta_alpha=5, theta_beta=10)
    >>> found.range, float(found.contrast.max())  # three bandwidths high
    (3.0, 3.0)
    """
    scaled = image.astype(np.float64) / np.asarray(theta_beta, np.float64)  # (*S, K)
    theta = np.broadcast_to(
        np.asarray(theta_alpha, np.float64) / (1.0 if spacing is None else np.asarray(spacing)),
        image.ndim - 1,
    )
    noisy = noise(scaled, mask)
    flat = scaled.reshape(-1, scaled.shape[-1]) if mask is None else scaled[mask]
    if mask is not None:
        scaled[~mask] = np.nan  # whatever is reckoned with these points is NaN, too
    low, high = np.percentile(flat[:: -(-len(flat) // SAMPLE)], PERCENTILES, axis=0)
    contrast = _contrast(scaled)
    rng = np.random.default_rng(seed)
    sums = [kernel_sums(scaled, theta, point) for point in _points(probs, theta, mask, rng)]
    neighbours, without = np.median(sums, axis=0)
    return Edges(
        contrast=contrast,
        factor=np.exp(-0.5 * contrast**2),
        range=float(np.linalg.norm(high - low)),
        noise=float(np.linalg.norm(noisy)),
        neighbours=float(neighbours),
        without_edges=float(without),
        theta=theta,
    )


def kernel_around(
    scaled: np.ndarray, theta: np.ndarray, point: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, tuple[slice, ...]]:
    """The bilateral kernel between one point and those around it.

    Args:
        scaled: (*S, K), intensities over theta_beta; NaN where a point does not count.
        theta: (S,) theta_alpha in points.
        point: its index.

    Returns:
        The kernel, the kernel without intensities, both of the shape of a window, and the window.
    """
    window = tuple(
        slice(max(0, int(p - np.ceil(REACH * t))), int(p + np.ceil(REACH * t)) + 1)
        for p, t in zip(point, theta, strict=True)
    )
    part = scaled[window]
    squares = np.zeros(part.shape[:-1])
    for axis, (p, t) in enumerate(zip(point, theta, strict=True)):
        steps = (np.arange(part.shape[axis]) + window[axis].start - p) / t
        squares += (steps**2).reshape([-1 if a == axis else 1 for a in range(len(theta))])
    near = np.exp(-0.5 * squares)
    alike = np.exp(-0.5 * np.square(part - scaled[tuple(point)]).sum(-1))
    return near * alike, near, window


def kernel_sums(scaled: np.ndarray, theta: np.ndarray, point: Sequence[int]) -> tuple[float, float]:
    """Neighbours of a point with and without intensities; itself, which counts 1, left out."""
    kernel, near, _ = kernel_around(scaled, theta, point)
    return np.nansum(kernel) - 1, near[~np.isnan(kernel)].sum() - 1


def boundary(label_map: np.ndarray) -> np.ndarray:
    """Which points of a label map (*S) have a neighbour with another label; boolean (*S)."""
    found = np.zeros(label_map.shape, bool)
    for axis in range(label_map.ndim):
        differs = np.diff(label_map, axis=axis) != 0
        for part in (slice(None, -1), slice(1, None)):
            found[(slice(None),) * axis + (part,)] |= differs
    return found


def _contrast(scaled: np.ndarray) -> np.ndarray:
    """(P,) intensity distance of a regular sample of neighbouring points."""
    found = []
    for axis in range(scaled.ndim - 1):
        if scaled.shape[axis] > 1:
            distances = np.linalg.norm(np.diff(scaled, axis=axis), axis=-1).ravel()
            distances = distances[~np.isnan(distances)]
            found.append(distances[:: -(-max(distances.size, 1) // SAMPLE)])
    return np.concatenate(found) if found else np.zeros(1)


def _points(
    probs: np.ndarray, theta: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Indices of points near boundaries, few where their kernels are large."""
    counts = np.ones(probs.shape[:-1], bool) if mask is None else mask
    places = np.argwhere(boundary(probs.argmax(-1)) & counts)
    if not len(places):
        places = np.argwhere(counts)
    window = np.minimum(2 * REACH * theta + 1, probs.shape[:-1]).prod()
    count = int(np.clip(PAIRS / window, 4, POINTS))
    return places[rng.permutation(len(places))[:count]]
