"""Probability maps with errors, made from the truth: what a CRF may be tried on.

For tests and studies of the CRF that need many maps, quickly, on any data set. A real network's
errors differ: these are independent of the image, which a CRF can use to the full.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.special import softmax

# How sure the maps are at most: log(1.02 / 0.02) = 3.9 between two labels, before the noise.
_FLOOR = 0.02


def blurred(
    label: np.ndarray,
    num_labels: int,
    *,
    blur: float = 2.0,
    noise: float = 1.5,
    length: float = 2.0,
    seed: int = 0,
) -> np.ndarray:
    """The truth out of focus, with smooth noise on the logits: soft boundaries, wrong islands.

    Args:
        label: (*S) integers 0..num_labels-1.
        num_labels: L.
        blur: standard deviation of the Gaussian that blurs the truth, in points.
        noise: standard deviation of the noise of each label's logit.
        length: standard deviation of the Gaussian that smooths the noise, in points.
        seed: of the noise.

    Returns:
        (*S, L) float32 probabilities.

    Example:
        >>> probs = blurred(np.repeat([0, 1], 20)[:, None] * np.ones(30, int), 2)
        >>> probs.shape, bool(probs[:10, :, 0].mean() > 0.9)
        ((40, 30, 2), True)
    """
    rng = np.random.default_rng(seed)
    logits = []
    for k in range(num_labels):
        soft = ndimage.gaussian_filter((label == k).astype("float32"), blur)
        field = ndimage.gaussian_filter(rng.standard_normal(label.shape, "float32"), length)
        logits.append(np.log(np.maximum(soft, 0) + _FLOOR) + noise * field / field.std())
    return softmax(np.stack(logits, -1), axis=-1).astype("float32")


def coarse(
    label: np.ndarray, num_labels: int, *, stride: int = 4, noise: float = 1.0, seed: int = 0
) -> np.ndarray:
    """The truth as a network with an output stride sees it: blocks' shares, noisy, interpolated.

    Args:
        label: (*S) integers 0..num_labels-1.
        num_labels: L.
        stride: side of a block in points.
        noise: standard deviation of the noise of each label's logit in each block.
        seed: of the noise.

    Returns:
        (*S, L) float32 probabilities.

    Example:
        >>> coarse(np.eye(13, 10, dtype=int), 2).shape
        (13, 10, 2)
    """
    rng = np.random.default_rng(seed)
    padded = np.pad(label, [(0, -size % stride) for size in label.shape], mode="edge")
    logits = []
    for k in range(num_labels):
        share = ndimage.uniform_filter((padded == k).astype("float32"), stride)
        share = share[(slice(stride // 2, None, stride),) * label.ndim]
        field = np.log(np.maximum(share, 0) + _FLOOR)
        field = field + noise * rng.standard_normal(field.shape, "float32")
        # Between the centres of blocks; beyond the outermost, as there.
        places = np.meshgrid(
            *((np.arange(size) + 0.5) / stride - 0.5 for size in label.shape), indexing="ij"
        )
        logits.append(ndimage.map_coordinates(field, places, order=1, mode="nearest"))
    return softmax(np.stack(logits, -1), axis=-1).astype("float32")
