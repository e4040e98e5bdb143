"""Intensities of images whose unit means nothing."""

from __future__ import annotations

import numpy as np

PERCENTILES = (0.5, 99.5)  # cuts single hot voxels, keeps every tissue; the study's pilot used them


def normalise(image: np.ndarray) -> np.ndarray:
    """Clip each channel to its 0.5 and 99.5 percentiles and map these to 0 and 1.

    MR intensities have no unit: between scanners of one data set they differ by factors of
    thousands. After this map one theta_beta fits all.

    Args:
        image: (*S, K), any real dtype, finite.

    Returns:
        (*S, K) float32 in [0, 1]. A channel whose two percentiles are equal becomes 0.

    Raises:
        ValueError: NaN or infinite values.

    Example:

    >>> normalise(np.arange(1000.0).reshape(25, 40, 1)).max()
    np.float32(1.0)
    """
    image = np.asarray(image, "float64")  # for `between`, once
    check_finite(image)
    low, high = np.percentile(image, PERCENTILES, axis=tuple(range(image.ndim - 1)))  # (K,) each
    return between(image, low, high)


def check_finite(image: np.ndarray) -> None:
    """ValueError where a value of an image is NaN or infinite."""
    if not np.isfinite(image).all():
        raise ValueError(
            f"expected finite intensities; received {np.size(image) - np.isfinite(image).sum()} "
            f"NaN or infinite values; repair the image or leave the case out."
        )


def between(image: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Clip each channel of (*S, K) to low..high, (K,) each, and map these to 0 and 1, as float32.

    Example:

    >>> between(np.array([[1, 5], [9, 5]]), np.array([0, 5]), np.array([4, 5])).tolist()
    [[0.25, 0.0], [1.0, 0.0]]
    """
    # float64: integers beyond 2**24 would lose their last digits in float32.
    image = np.asarray(image, "float64")
    extent = np.where(high > low, high - low, np.inf)  # inf: a constant channel maps to 0
    return np.clip((image - low) / extent, 0, 1).astype("float32")
