"""What a page shows of an image: eight bits of three channels."""

from __future__ import annotations

import numpy as np

from crfrnn.offline.intensities import PERCENTILES

_WHITE = {"bool": 1.0, "uint8": 255.0}  # of types that say it themselves


def limits(image: np.ndarray) -> np.ndarray:
    """What is black and what is white, (2, K): of bytes and bool their ends, else percentiles.

    Args:
        image: (*S, K).
    """
    channels = image.shape[-1]
    if image.dtype.name in _WHITE:
        return np.repeat([[0.0], [_WHITE[image.dtype.name]]], channels, 1)
    found = np.percentile(image.reshape(-1, channels), PERCENTILES, axis=0)
    found[1] = np.where(found[1] > found[0], found[1], found[0] + 1)
    return found


def as_picture(image: np.ndarray, black_and_white: np.ndarray) -> np.ndarray:
    """The first three channels of (H, W, K) as bytes (H, W, 4), opaque; of two the first alone.

    Example:

    >>> as_picture(np.array([[[0.0], [5.0], [12.0]]]), np.array([[0.0], [10.0]]))[0]
    array([[  0,   0,   0, 255],
           [128, 128, 128, 255],
           [255, 255, 255, 255]], dtype=uint8)
    """
    count = 3 if image.shape[-1] >= 3 else 1
    low, high = black_and_white[:, :count]
    shares = (image[..., :count] - low) / (high - low)
    levels = np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8)
    picture = np.full((*image.shape[:2], 4), 255, np.uint8)
    picture[..., :3] = levels
    return picture


def extent(black_and_white: np.ndarray) -> float:
    """How far intensities reach: the largest distance of black and white."""
    return float(np.max(black_and_white[1] - black_and_white[0]))
