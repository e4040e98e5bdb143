"""The random walker: labels that spread from the points where a network is sure."""

from __future__ import annotations

import itertools
import warnings
from typing import ClassVar

import numpy as np

from experiments.rows.filtered import Filtered


def walked(image: np.ndarray, probs: np.ndarray, *, confidence: float, beta: float) -> np.ndarray:
    """Probabilities that a walk from a point meets each label's confident points first.

    Args:
        image: (H, W, K) in [0, 1].
        probs: (H, W, L).
        confidence: points whose largest probability is at least this are where walks end.
        beta: how strongly edges of the image hold up the walk, > 0.

    Returns:
        (H, W, L); as they were where fewer than two labels have a confident point, or all points
        are confident.

    Reference:
        L. Grady, "Random walks for image segmentation", TPAMI 2006, as scikit-image has it.

    Example:
        >>> sure, unsure = [0.99, 0.01], [0.5, 0.5]
        >>> probs = np.array([[sure, unsure, unsure, sure[::-1]]] * 3)
        >>> image = np.repeat([0.0, 1.0], [3, 1])[None, :, None] * np.ones((3, 1, 1))
        >>> walked(image, probs, confidence=0.9, beta=100.0).argmax(-1)[0]
        array([0, 0, 0, 1])
    """
    from skimage.segmentation import random_walker

    sure = probs.max(-1) >= confidence
    present = np.unique(probs.argmax(-1)[sure])
    if len(present) < 2 or sure.all() or not np.ptp(image):  # without edges it has no scale
        return probs
    seeds = np.where(sure, 1 + np.searchsorted(present, probs.argmax(-1)), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the solver, of which there are faster ones elsewhere
        reached = random_walker(
            image, seeds, beta=beta, mode="cg_j", return_full_prob=True, channel_axis=-1
        )
    result = np.zeros(probs.shape)
    # The solver stops a little before probabilities sum to 1.
    result[..., present] = np.moveaxis(reached, 0, -1).clip(0, 1)
    return result / result.sum(-1, keepdims=True)


class Walker(Filtered, kind="walker"):
    """Another row's confident points keep their labels; the rest get those that reach them."""

    packages: ClassVar = {"skimage": "scikit-image"}

    TRIED = tuple(
        {"confidence": confidence, "beta": beta}
        for confidence, beta in itertools.product((0.8, 0.95, 0.99), (30.0, 130.0, 600.0))
    )
    changed = staticmethod(walked)
