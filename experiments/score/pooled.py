"""Mean IoU of a whole test set at once, as papers on street scenes and photographs report it.

Mean Dice over cases asks how good a case is; a label that a case does not have counts nothing in
it, and where it is invented it counts 0. Pooled mean IoU counts the points of all cases first: for
every label, those that truth and prediction share over those that either has, then the mean over
labels. One number per test set, so that differences are resampled as wholes.

What functions take: counts (..., L, 2), of points in the intersection and in the union of truth and
prediction, per label, added over cases. With the Dice of a label as a share, and 1 for every case
that holds it, in their place the same functions give Dice by label: the mean over the cases of each
label, then over labels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crfrnn.parameters.gain import CONFIDENCE
from experiments.score import stats
from experiments.score.mixture import mixture_interval

_ROUNDS_AT_ONCE = 1000  # of the resampling: some megabytes


class Difference(NamedTuple):
    """What is known about a difference of pooled mean IoU, in points; intervals as in `stats`."""

    mean: float  # over seeds
    per_seed: tuple[float, ...]
    over_groups: stats.Interval
    over_seeds: stats.Interval
    over_both: stats.Interval


def mean_iou(counts: np.ndarray) -> np.ndarray:
    """Mean over labels of intersection over union, in percent.

    From (..., L, 2) to (...). Labels that occur nowhere are left out; NaN where none does.

    Example:
        >>> float(mean_iou(np.array([[1, 2], [3, 4], [0, 0]])))
        62.5
    """
    intersection, union = counts[..., 0], counts[..., 1]
    there = union > 0
    shares = np.where(there, intersection, 0) / np.maximum(union, 1)
    number = there.sum(-1)
    return np.where(number, 100 * shares.sum(-1) / np.maximum(number, 1), np.nan)


def difference(
    counts: np.ndarray, reference: np.ndarray, seed: int = 0, confidence: float = CONFIDENCE
) -> Difference:
    """The pooled mean IoU of one row minus that of another, both of R seeds and G groups of cases.

    The interval over both is that of `stats.interval_over_both`, of another number: rounds resample
    the groups, and the mean over all possible seeds has Student's t around what each seed has.

    Args:
        counts, reference: (R, G, L, 2), of the same groups.
        seed: of the resampling. confidence: of the intervals, 0..1.

    Example:
        >>> both = np.array([[[[2, 4], [3, 6]]] * 3] * 2)
        >>> found = difference(both + [1, 0], both)  # (3/4 + 4/6) / 2 - (2/4 + 3/6) / 2
        >>> round(found.mean, 2), [round(bound, 2) for bound in found.over_both]
        (20.83, [20.83, 20.83])
    """
    seeds, groups = counts.shape[:2]
    per_seed = mean_iou(counts.sum(1)) - mean_iou(reference.sum(1))
    over_groups = over_both = (float("nan"), float("nan"))
    if groups > 1:
        rounds = _resampled(counts, reference, seed)
        rounds = rounds[~np.isnan(rounds).any(axis=1)]  # without any group of some seed
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        over_groups = tuple(np.nanquantile(rounds.mean(1), tails).tolist())
        if seeds > 1:
            scales = rounds.std(1, ddof=1) / np.sqrt(seeds)
            over_both = mixture_interval(rounds.mean(1), scales, seeds - 1, confidence)
    over_seeds = stats.interval_over_seeds(per_seed[:, None], confidence)
    return Difference(
        *(float(per_seed.mean()), tuple(per_seed.tolist())), over_groups, over_seeds, over_both
    )


def _resampled(counts: np.ndarray, reference: np.ndarray, seed: int) -> np.ndarray:
    """(rounds, R): the difference of every seed, on groups drawn with replacement."""
    times = stats.resamples(counts.shape[1], seed)  # (rounds, G)
    parts = [times[i : i + _ROUNDS_AT_ONCE] for i in range(0, len(times), _ROUNDS_AT_ONCE)]
    return np.concatenate(
        [
            mean_iou(np.tensordot(part, counts, (1, 1)))
            - mean_iou(np.tensordot(part, reference, (1, 1)))
            for part in parts
        ]
    )
