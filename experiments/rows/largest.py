"""What a CRF's gain must be measured against: the largest piece, which looks at no image."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from experiments.rows.kind import Kind, Scores


class Largest(Kind, kind="largest"):
    """Of another row's foreground, the largest connected piece of each case alone."""

    passes_on = True
    needs_background = True

    def scores(self, split: str) -> Scores:
        return [largest_piece(score) for score in self.of[0].scores(split)]


def largest_piece(score: np.ndarray) -> np.ndarray:
    """The scores of a case with one connected piece of foreground left, the largest.

    Points touch if their sides, edges or corners do. At every other point of the foreground the
    scores of the background and of the label that won are exchanged, so that how certain the most
    likely label is stays as it was. Logits are (slices, *s, L); the foreground is where the
    largest is not of label 0. Returns a copy only where something changes.

    Example:
        >>> labels = np.array([1, 0, 2, 1, 0])
        >>> score = largest_piece(np.eye(3)[labels][None, None])
        >>> score.argmax(-1).tolist()
        [[[0, 0, 2, 1, 0]]]
    """
    labels = np.argmax(score, axis=-1)
    pieces, number = ndimage.label(labels, np.ones((3,) * labels.ndim))
    if number < 2:
        return score
    sizes = np.bincount(pieces.ravel())[1:]
    at = np.nonzero((pieces > 0) & (pieces != 1 + np.argmax(sizes)))
    won = labels[at]
    changed = score.copy()
    changed[(*at, 0)], changed[(*at, won)] = score[(*at, won)], score[(*at, 0)]
    return changed
