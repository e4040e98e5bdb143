"""Overlaps of all cases together, as benchmarks with many labels have them: mean IoU, mean Dice.

Points are counted over all cases, then every label has one overlap, and their mean is the score.
Labels count that occur in the truth of some case, label 0 too: it need not be a background. Points
that are given another label are missing where they belong, and so not forgotten.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from crfrnn.parameters.gain import CONFIDENCE, RESAMPLES, Gain, group_names

METRICS = ("mdice", "miou")

_ALL_FLIPS = 13  # groups, up to which all 2^groups are flipped: fewer than RESAMPLES


def counter(
    truth: np.ndarray, num_labels: int, known: np.ndarray | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Makes the function that counts the points of one case.

    Args:
        truth: label map (*S), labels 0..L-1.
        num_labels: L.
        known: boolean (*S), the points that count; None: all.

    Returns:
        A function of a label map (*S) to integers (L, 3): of each label, the points that have it in
        both maps, in the truth, and in the prediction.

    Example:

    >>> counter(np.array([0, 0, 1, 1]), num_labels=3)(np.array([0, 1, 1, 2]))
    array([[1, 2, 1],
           [1, 2, 2],
           [0, 0, 1]])
    """
    points = ... if known is None else known
    true = truth[points].ravel().astype(np.intp)
    present = np.bincount(true, minlength=num_labels)

    def counts(prediction: np.ndarray) -> np.ndarray:
        found = prediction[points].ravel().astype(np.intp)
        right = found[found == true]
        both, predicted = (np.bincount(labels, minlength=num_labels) for labels in (right, found))
        return np.stack([both, present, predicted], -1)

    return counts


def score(counts: np.ndarray, metric: str) -> np.ndarray:
    """The mean overlap of the labels that occur in the truth.

    Args:
        counts: (..., L, 3), summed over cases; see `counter`.
        metric: "mdice" or "miou".

    Returns:
        (...) percent; NaN where no label occurs.

    Example:

    >>> counts = np.array([[1, 2, 1], [1, 2, 2], [0, 0, 1]])  # label 2 does not occur
    >>> round(float(score(counts, "miou")), 1)  # 1 / 2 and 1 / 3
    41.7
    """
    both, true, predicted = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    if metric == "mdice":
        both, whole = 2 * both, true + predicted
    else:
        whole = true + predicted - both
    occurs = true > 0
    overlaps = np.where(occurs, both / np.maximum(whole, 1), 0.0).sum(-1)
    number = occurs.sum(-1)
    return np.where(number > 0, 100 * overlaps / np.maximum(number, 1), np.nan)


def gain(
    before: np.ndarray,
    after: np.ndarray,
    groups: Sequence[Hashable],
    metric: str,
    seed: int = 0,
) -> Gain:
    """What `after` has in advance of `before` on the same cases.

    As `crfrnn.parameters.gain.gain`: the bootstrap draws groups, and the test exchanges `before`
    and `after` of groups, since there is no score of a group to change the sign of.

    Args:
        before, after: counts (N, L, 3); see `counter`.
        groups: N names; cases of one group (one patient) are not independent and stay together.
        metric: "mdice" or "miou".
        seed: of the resampling.

    Returns:
        `Gain`, in percent points.

    Example:

    >>> one, two = np.array([[[8, 9, 9], [4, 5, 5]]]), np.array([[[9, 9, 9], [5, 5, 5]]])
    >>> round(gain(one, two, ["a"], "mdice").mean, 1)
    15.6
    """
    _, members = np.unique(group_names(groups), return_inverse=True)
    number = int(members.max(initial=-1)) + 1
    sums = np.zeros((2, number, *before.shape[1:]))
    for side, counts in enumerate((before, after)):
        np.add.at(sums[side], members, counts)

    def gained(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return score(new, metric) - score(old, metric)

    mean = float(gained(*sums.sum(1)))
    if number < 2:
        return Gain(mean, (float("nan"), float("nan")), float("nan"), number)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(number, np.full(number, 1 / number), RESAMPLES)
    low, high = 50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)
    resampled = gained(*(np.tensordot(drawn, side, 1) for side in sums))
    interval = np.nanpercentile(resampled, [low, high])

    every = number <= _ALL_FLIPS
    flips = (
        np.array(list(itertools.product((0, 1), repeat=number)))
        if every
        else rng.integers(0, 2, (RESAMPLES, number))
    )
    new = np.tensordot(flips, sums[0], 1) + np.tensordot(1 - flips, sums[1], 1)
    extreme = np.abs(gained(sums.sum((0, 1)) - new, new)) >= abs(mean) - 1e-9
    # With flips drawn at random, the one that was seen is one more.
    p_value = extreme.mean() if every else (extreme.sum() + 1) / (len(extreme) + 1)
    return Gain(mean, (float(interval[0]), float(interval[1])), float(p_value), number)
