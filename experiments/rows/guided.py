"""The guided filter: what smooths along edges of the image without a random field."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage

from experiments.rows.filtered import Filtered


class Guided(Filtered, kind="guided"):
    """The probabilities of another row, filtered with the image as the guide."""

    TRIED = tuple(
        {"radius": radius, "eps": eps}
        for radius, eps in itertools.product((1, 2, 4, 8), (1e-4, 1e-3, 1e-2))
    )

    @staticmethod
    def changed(image: np.ndarray, probs: np.ndarray, *, radius: int, eps: float) -> np.ndarray:
        filtered = np.clip(guided_filter(image, probs, radius=radius, eps=eps), 0, None)
        return filtered / filtered.sum(-1, keepdims=True)


def guided_filter(guide: np.ndarray, values: np.ndarray, *, radius: int, eps: float) -> np.ndarray:
    """Filter values that follow an image: in each window a linear function of the guide.

    Args:
        guide: (*S, K), any number of axes and channels.
        values: (*S, C).
        radius: of the square window, in pixels, >= 1. Beyond the border the image is mirrored.
        eps: added to the variances of the guide, in its units squared: edges whose height is well
            above its root stay.

    Returns:
        (*S, C) float64.

    Reference:
        K. He, J. Sun, X. Tang, "Guided image filtering", TPAMI 2013, equations 14, 16, 17.

    Example:
        >>> step = np.repeat([0.0, 1.0], 4)[None, :, None] * np.ones((5, 1, 1))
        >>> out = guided_filter(step, step, radius=2, eps=1e-6)
        >>> bool(np.abs(out - step).max() < 1e-4)
        True
    """
    axes = guide.ndim - 1

    def mean(array: np.ndarray) -> np.ndarray:
        size = (2 * radius + 1,) * axes + (1,) * (array.ndim - axes)
        return ndimage.uniform_filter(array, size, mode="reflect")

    guide, values = guide.astype(np.float64), values.astype(np.float64)
    mean_guide, mean_values = mean(guide), mean(values)
    outer = mean(guide[..., :, None] * guide[..., None, :])
    covariance = outer - mean_guide[..., :, None] * mean_guide[..., None, :]  # (*S, K, K)
    cross = mean(guide[..., :, None] * values[..., None, :])
    cross = cross - mean_guide[..., :, None] * mean_values[..., None, :]  # (*S, K, C)
    slope = np.linalg.solve(covariance + eps * np.eye(guide.shape[-1]), cross)
    offset = mean_values - np.einsum("...k,...kc->...c", mean_guide, slope)
    return np.einsum("...k,...kc->...c", guide, mean(slope)) + mean(offset)
