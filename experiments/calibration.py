"""What a CRF's gain must be measured against: a correction of the scores that looks at no pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments import evaluation
from experiments.inputs import Slices

# In logits. exp(8) = 3000: what a bias can do, it has done by then.
STEPS = (2.0, 1.0, 0.5, 0.25)
LARGEST = 8.0


def class_bias(slices: Slices, scores: Sequence[np.ndarray], num_labels: int) -> np.ndarray:
    """One number per label whose sum with the scores has the best Dice.

    Changes one label's bias at a time as long as that helps, in smaller and smaller steps.

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
        >>> logits = np.array([3.0, 3.1, 4.9, 5.0])[None, None, :, None] * [0, 1]
        >>> class_bias(slices, [logits], 2)
        array([ 0., -4.])
    """

    def dice(bias: np.ndarray) -> float:
        maps = evaluation.label_maps(slices, [score + bias for score in scores])
        return evaluation.mean_dice(slices, maps, num_labels)

    best = np.zeros(num_labels)
    best_dice = dice(best)
    for step in STEPS:
        better = True
        while better:
            better = False
            for label in range(1, num_labels):
                for change in (step, -step):
                    tried = best.copy()
                    tried[label] = np.clip(tried[label] + change, -LARGEST, LARGEST)
                    if (tried_dice := dice(tried)) > best_dice:
                        best, best_dice, better = tried, tried_dice, True
    return best
