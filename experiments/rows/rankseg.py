"""RankSEG: the label map with the best expected Dice, instead of the most likely labels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from experiments.rows.filtered import Filtered


class RankSEG(Filtered, kind="rankseg"):
    """Another row's probabilities, decoded for Dice; the image has no part in it."""

    packages: ClassVar = {"rankseg": "rankseg", "torch": "torch"}

    @staticmethod
    def changed(image: np.ndarray, probs: np.ndarray) -> np.ndarray:
        del image
        return decoded(probs)


def decoded(probs: np.ndarray) -> np.ndarray:
    """Probabilities of a slice, those of the chosen and of the likeliest label exchanged.

    So the chosen one is the likeliest, and how certain that is stays as it was.

    Args:
        probs: (*s, L), rows sum to 1.

    Returns:
        (*s, L).

    Reference:
        B. Dai, C. Li, "RankSEG: a consistent ranking-based framework for segmentation", JMLR 2023;
        solver: Z. Wang, B. Dai, "RankSEG-RMA", NeurIPS 2025.
    """
    import rankseg
    import torch

    tensor = torch.from_numpy(np.moveaxis(probs, -1, 0)[None].astype(np.float32).clip(0, 1))
    labels = rankseg.RankSEG(metric="dice", output_mode="multiclass").predict(tensor)[0].numpy()
    return exchanged(probs, labels)


def exchanged(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probabilities (*s, L) whose likeliest labels are the given ones, (*s).

    Example:
        >>> exchanged(np.array([[[0.7, 0.2, 0.1]]]), np.array([[2]]))
        array([[[0.1, 0.2, 0.7]]])
    """
    result, won = probs.copy(), probs.argmax(-1)
    points = tuple(np.indices(labels.shape))
    result[(*points, labels)] = probs[(*points, won)]
    result[(*points, won)] = probs[(*points, labels)]
    return result
