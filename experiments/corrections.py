"""What a CRF's gain must be measured against: corrections of the scores that look at no image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from experiments import evaluation
from experiments.inputs import Slices

# In logits, by halves. exp(8) = 3000: what a bias can do, it has done by then.
BIASES = np.arange(-8.0, 8.25, 0.5)


def class_bias(slices: Slices, scores: Sequence[np.ndarray], num_labels: int) -> np.ndarray:
    """One number per label whose sum with the scores has the best Dice.

    Tries all of ``BIASES`` for one label after the other, round by round as long as that helps.

    Args:
        slices: the validation split, N cases.
        scores: N arrays (D, h, w, L) of logits.
        num_labels: L.

    Returns:
        (L,), of label 0 it is 0.

    Example:
        >>> import data
        >>> truth = np.array([[0, 0, 1, 1]], "uint8")
        >>> case = data.Case(np.zeros((1, 4, 1), "float32"), truth, (1.0, 1.0), "a", "a")
        >>> slices = Slices([case], case.image[None], case.image[None], truth[None], axis=0)
        >>> logits = np.array([3.0, 4.1, 4.9, 5.0])[None, None, :, None] * [0, 1]
        >>> class_bias(slices, [logits], 2)
        array([ 0. , -4.5])
    """

    def dice(bias: np.ndarray) -> float:
        maps = evaluation.label_maps(slices, [score + bias for score in scores])
        return evaluation.mean_dice(slices, maps, num_labels)

    best = np.zeros(num_labels)
    best_dice, before = dice(best), -1.0
    while best_dice > before:
        before = best_dice
        for label in range(1, num_labels):
            for bias in BIASES:
                tried = best.copy()
                tried[label] = bias
                if (tried_dice := dice(tried)) > best_dice:
                    best, best_dice = tried, tried_dice
    return best


def largest_piece(score: np.ndarray) -> np.ndarray:
    """The scores of a case with one connected piece of foreground left, the largest.

    Points touch if their sides, edges or corners do. At every other point of the foreground the
    scores of the background and of the label that won are exchanged, so that how certain the most
    likely label is stays as it was.

    Args:
        score: (D, h, w, L) of logits; the foreground is where the largest is not of label 0.

    Returns:
        As `score`; a copy only where something changes.

    Example:
        >>> labels = np.array([1, 0, 2, 1, 0])
        >>> score = largest_piece(np.eye(3)[labels][None, None])
        >>> score.argmax(-1).tolist()
        [[[0, 0, 2, 1, 0]]]
    """
    labels = np.argmax(score, axis=-1)
    pieces, number = ndimage.label(labels, np.ones((3, 3, 3)))
    if number < 2:
        return score
    sizes = np.bincount(pieces.ravel())[1:]
    z, y, x = np.nonzero((pieces > 0) & (pieces != 1 + np.argmax(sizes)))
    won = labels[z, y, x]
    changed = score.copy()
    changed[z, y, x, 0], changed[z, y, x, won] = score[z, y, x, won], score[z, y, x, 0]
    return changed
