"""What a CRF's gain must be measured against: one number per label, which looks at no image."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from experiments.rows.kind import Kind, Scores
from experiments.score.cases import mean_dice
from experiments.train.inputs import Slices

# In logits, by halves. exp(8) = 3000: what a bias can do, it has done by then.
BIASES = np.arange(-8.0, 8.25, 0.5)


class Bias(Kind, kind="bias"):
    """The scores of another row plus one number per label, chosen on validation cases."""

    passes_on = True

    @functools.cached_property
    def bias(self) -> np.ndarray:
        """(L,)"""
        (of,) = self.of
        return class_bias(of.inputs.validation, of.scores("validation"))

    def scores(self, split: str) -> Scores:
        self.details["bias"] = self.bias.tolist()
        return [score + self.bias for score in self.of[0].scores(split)]


def class_bias(slices: Slices, scores: Sequence[np.ndarray]) -> np.ndarray:
    """One number per label whose sum with the scores has the best Dice.

    Tries all of ``BIASES`` for one label after the other, round by round as long as that helps.

    From N cases and as many arrays (D, h, w, L) of logits to (L,); of label 0 it is 0.

    Example:
        >>> import data
        >>> truth = np.array([[0, 0, 1, 1]], "uint8")
        >>> case = data.Case(np.zeros((1, 4, 1), "float32"), truth, (1.0, 1.0), "a", "a")
        >>> slices = Slices([case], case.image[None], case.image[None], truth[None], axis=0)
        >>> logits = np.array([3.0, 4.1, 4.9, 5.0])[None, None, :, None] * [0, 1]
        >>> class_bias(slices, [logits])
        array([ 0. , -4.5])
    """

    def dice(bias: np.ndarray) -> float:
        return mean_dice(slices, [score + bias for score in scores])

    best = np.zeros(scores[0].shape[-1])
    best_dice, before = dice(best), -1.0
    while best_dice > before:
        before = best_dice
        for label in range(1, len(best)):
            for bias in BIASES:
                tried = best.copy()
                tried[label] = bias
                if (tried_dice := dice(tried)) > best_dice:
                    best, best_dice = tried, tried_dice
    return best
