"""What a gain on some cases is worth: its mean, its interval, its chance."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from crfrnn.parameters.scores import nanmean

CONFIDENCE = 0.95
RESAMPLES = 9999


def group_names(groups: Sequence[Hashable]) -> np.ndarray:
    """(N,) of str, of any names: an array of tuples would have two axes."""
    return np.array([str(group) for group in groups], dtype=str)


class Gain(NamedTuple):
    """What a CRF adds on average over cases, in percent points, and how sure that is.

    mean: over the cases. interval: 95 % bootstrap interval over groups of cases. p_value: of the
    two-sided sign-flip test over groups: how often chance alone moves the mean this far from 0.
    Interval and p-value are NaN for fewer than two groups. groups: how many there are; with fewer
    than 6 no p-value can be below 2 / 2^5 = 0.06.
    """

    mean: float
    interval: tuple[float, float]
    p_value: float
    groups: int


def gain(before: np.ndarray, after: np.ndarray, groups: Sequence[Hashable], seed: int = 0) -> Gain:
    """What `after` has in advance of `before` on the same cases.

    Args:
        before, after: scores (N,); cases with NaN in either are left out.
        groups: N names; cases of one group (one patient) are not independent and stay together.
        seed: of the resampling.

    Returns:
        `Gain`, in the unit of the scores.

    Example:

    >>> gain(np.array([80.0, 90.0]), np.array([81.0, 93.0]), ["a", "b"]).mean
    2.0
    """
    from scipy import stats

    differences = np.asarray(after, np.float64) - before
    present = ~np.isnan(differences)
    _, members = np.unique(group_names(groups)[present], return_inverse=True)
    sums = np.bincount(members, weights=differences[present])
    mean = nanmean(differences)
    if len(sums) < 2:
        return Gain(mean, (float("nan"), float("nan")), float("nan"), len(sums))
    test = stats.permutation_test(
        (sums,),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(seed),
    )
    interval = bootstrap_interval(differences, groups, seed)
    return Gain(mean, interval, float(test.pvalue), len(sums))


def bootstrap_interval(
    values: np.ndarray,
    groups: Sequence[Hashable],
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Bootstrap interval of a mean over cases, resampling groups of them.

    With few groups it is too narrow: on normal numbers, intervals of 95 % held the truth in 91 % of
    cases with 10 groups, 92 % with 14, and 95 % from 22 on.

    Args:
        values: (N,); NaN are left out.
        groups: N names; cases of one group (one patient) stay together, since they are not
            independent.
        seed: of the resampling.
        confidence: of the interval, 0..1.

    Returns:
        Lower and upper bound, in the unit of the values; NaN for fewer than two groups.

    Example:

    >>> bootstrap_interval(np.array([1.0, 1.0, 1.0]), ["a", "b", "c"])
    (1.0, 1.0)
    """
    from scipy import stats

    values = np.asarray(values, np.float64)
    present = ~np.isnan(values)
    _, members = np.unique(group_names(groups)[present], return_inverse=True)
    sums, counts = np.bincount(members, weights=values[present]), np.bincount(members)
    if len(sums) < 2:
        return float("nan"), float("nan")
    # Percentiles rather than BCa, which is undefined when all groups are equal ("off" was chosen).
    interval = stats.bootstrap(
        (sums, counts),
        lambda s, c, axis: np.sum(s, axis=axis) / np.sum(c, axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)
