"""Mean and spread over seeds; paired differences with intervals, tests and effect sizes.

What all functions take: ``differences`` (R, N), of R seeds (training runs) and N test cases, the
same cases in the same order for both rows compared; NaN marks a case that a metric leaves out.
``groups``: N names; cases of one group (one patient) are not independent: intervals resample
groups, and tests count every group once. ``seed``: of the resampling. ``confidence``: of an
interval, 0..1. Intervals are (lower, upper) bounds in the unit of the differences, NaN where they
cannot be given: for fewer than two groups or two seeds.

Three intervals answer three questions, and none stands for another:

- over groups: had other patients been in the test set, with these trained networks?
- over seeds: had the networks been trained again (weights, batches, training cases), with this
  test set?
- over both: had new networks met new patients? This is what a reader wants to know.

`estimate` gives everything about one difference at once.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from crfrnn.parameters.gain import CONFIDENCE, RESAMPLES, bootstrap_interval, group_names
from crfrnn.parameters.scores import nanmean
from experiments.score.mixture import mixture_interval

Interval = tuple[float, float]
EQUIVALENCE_CONFIDENCE = 0.90  # two one-sided tests at 5 % each


class Estimate(NamedTuple):
    """What is known about the difference of two rows, in the unit of the metric."""

    mean: float  # over seeds and cases
    per_seed: tuple[float, ...]  # R means over cases
    over_groups: Interval  # these three of 95 %
    over_seeds: Interval
    over_both: Interval
    p_value: float  # of `wilcoxon`, not corrected: see `holm`
    rank_biserial: float  # the effect size over groups


def estimate(differences: np.ndarray, groups: Sequence[Hashable], seed: int = 0) -> Estimate:
    """Everything about a paired difference that a table shows.

    Example:
        >>> result = estimate(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), ["a", "b", "c"])
        >>> result.mean, result.per_seed, result.p_value, result.rank_biserial
        (2.0, (2.0, 2.0), 0.25, 1.0)
    """
    per_seed = _row_means(differences)
    return Estimate(
        mean=float(np.mean(per_seed)),
        per_seed=tuple(map(float, per_seed)),
        over_groups=interval_over_groups(differences, groups, seed),
        over_seeds=interval_over_seeds(differences),
        over_both=interval_over_both(differences, groups, seed),
        p_value=wilcoxon(differences, groups),
        rank_biserial=rank_biserial(differences, groups),
    )


def mean_and_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean of values (R, N) over seeds and cases, and the standard deviation over seeds.

    That of the per-seed means, as of a sample; NaN for one seed.

    Example:
        >>> mean_and_sd(np.array([[1.0, 3.0], [5.0, 7.0]]))  # per-seed means 2 and 6
        (4.0, 2.8284271247461903)
    """
    per_seed = _row_means(values)
    sd = float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else float("nan")
    return float(np.mean(per_seed)), sd


def interval_over_groups(
    differences: np.ndarray,
    groups: Sequence[Hashable],
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Bootstrap interval of the mean difference, resampling groups of test cases.

    Each case counts with its mean over the seeds. Covers the choice of test cases, not the noise
    of training.

    Example:
        >>> interval_over_groups(np.array([[1.0, 1.0, 1.0]]), ["a", "b", "c"])
        (1.0, 1.0)
    """
    return bootstrap_interval(_case_means(differences), groups, seed, confidence)


def interval_over_seeds(differences: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """Interval of the mean difference over repeated trainings (Student's t).

    From the per-seed mean differences. A bootstrap of three to five numbers cannot reach beyond
    the extremes it has seen and is far too narrow; Student's t with R - 1 degrees of freedom says
    honestly how little a few seeds tell. Covers the noise of training, not the choice of test
    cases.

    Example:
        >>> low, high = interval_over_seeds(np.array([[1.0], [3.0]]))  # 2 +- 12.706 * 1
        >>> round(low, 3), round(high, 3)
        (-10.706, 14.706)
    """
    per_seed = _row_means(differences)
    if len(per_seed) < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf((1 + confidence) / 2, len(per_seed) - 1) * stats.sem(per_seed)
    return float(np.mean(per_seed) - half), float(np.mean(per_seed) + half)


def interval_over_both(
    differences: np.ndarray,
    groups: Sequence[Hashable],
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Interval of the mean difference that covers training noise and the choice of test cases.

    A hierarchical bootstrap: each round resamples the groups and takes the per-seed means of what
    was drawn; the mean over all possible seeds then has Student's t around them. The interval is
    that of the mixture of these distributions, whose quantiles are computed, not drawn, so that
    verdicts depend little on the resampling's random numbers. Where all groups are equal this is
    `interval_over_seeds`; where all seeds are equal it is `interval_over_groups`.

    Resampling the seeds as well, the usual hierarchical bootstrap, is too narrow for a few seeds:
    in simulations with normal effects of seeds, groups and both together its 95 % intervals held
    the truth in 70 % of cases with 3 seeds and 84 % with 6 where training noise dominates; these
    hold it in 92 to 100 % (too often where neither of the two dominates).

    Example:
        >>> interval_over_both(np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]), ["a", "b", "c"])
        (1.0, 1.0)
    """
    differences, members = _present(differences, groups)
    num_seeds, num_groups = len(differences), len(set(members))
    if num_seeds < 2 or num_groups < 2:
        return float("nan"), float("nan")
    of_group = np.eye(num_groups)[members]  # (M, G)
    sums = np.nan_to_num(differences) @ of_group  # (R, G)
    counts = ~np.isnan(differences) @ of_group  # (R, G)
    times = resamples(num_groups, seed)
    with np.errstate(invalid="ignore"):  # a round without any case of some seed: NaN
        per_seed = (times @ sums.T) / (times @ counts.T)  # (B, R)
    per_seed = per_seed[~np.isnan(per_seed).any(axis=1)]
    errors = per_seed.std(axis=1, ddof=1) / np.sqrt(num_seeds)
    return mixture_interval(per_seed.mean(axis=1), errors, num_seeds - 1, confidence)


def wilcoxon(differences: np.ndarray, groups: Sequence[Hashable]) -> float:
    """Two-sided p-value of the Wilcoxon signed-rank test over groups.

    Each group counts once, with the mean over its cases of their means over the seeds. Groups
    without a difference are left out. Like `interval_over_groups` it takes the trained networks
    as given. With G groups it cannot be below 2 / 2^G. It is 1 if no group differs, and NaN for
    fewer than two groups.

    Example:
        >>> wilcoxon(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]), "abcde")  # 2 / 2^5
        0.0625
    """
    changed = _changed(differences, groups)
    if changed is None:
        return float("nan")
    return float(stats.wilcoxon(changed).pvalue) if changed.size else 1.0


def rank_biserial(differences: np.ndarray, groups: Sequence[Hashable]) -> float:
    """Matched-pairs rank-biserial correlation: the effect size that belongs to `wilcoxon`.

    The groups' means are ranked by their size; of the sum of the ranks, the share of the positive
    ones minus the share of the negative ones (Kerby, 2014). Zeros are left out. From -1 (every
    group is worse) to 1 (every group is better); 0 if no group differs; NaN for fewer than two.

    Example:
        >>> rank_biserial(np.array([[2.0, 3.0, -1.0]]), "abc")  # (2 + 3 - 1) / 6
        0.6666666666666666
    """
    changed = _changed(differences, groups)
    if changed is None:
        return float("nan")
    ranks = stats.rankdata(np.abs(changed))
    return float(np.sum(np.sign(changed) * ranks) / np.sum(ranks)) if changed.size else 0.0


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P-values of several tests, corrected so that any false alarm is as rare as of one test.

    Holm's step-down method: valid however the tests depend on each other, and never weaker than
    Bonferroni's. NaN (no test was possible) stays NaN and is not counted. Compare the results, in
    the same order, with 0.05.

    Example:
        >>> holm([0.01, 0.04, 0.03])  # 3 * 0.01, then 2 * 0.03, then no less
        array([0.03, 0.06, 0.06])
    """
    from statsmodels.stats.multitest import multipletests  # takes most of a second

    corrected = np.array(p_values, np.float64)
    tested = ~np.isnan(corrected)
    if tested.any():
        corrected[tested] = multipletests(corrected[tested], method="holm")[1]
    return corrected


def equivalent(
    differences: np.ndarray, groups: Sequence[Hashable], margin: float, seed: int = 0
) -> bool:
    """Whether two rows are shown to be equal up to a margin, the largest difference of no matter.

    Two one-sided tests at 5 %, as an interval: the 90 % interval over groups and seeds lies within
    the margin. False means "not shown", not "different": a wide interval shows neither, nor does
    one seed or one group.

    Example:
        >>> differences = np.array([[0.1, -0.1, 0.0], [0.0, 0.1, 0.1]])
        >>> equivalent(differences, "abc", margin=0.5), equivalent(differences, "abc", margin=0.1)
        (True, False)
    """
    bounds = interval_over_both(differences, groups, seed, EQUIVALENCE_CONFIDENCE)
    return bool(np.all(np.abs(bounds) <= margin))


@functools.lru_cache(maxsize=8)  # the differences of a setting are all resampled alike
def resamples(num_groups: int, seed: int) -> np.ndarray:
    """(B, G): how often each resample has each group; float64, which products need.

    Example:
        >>> resamples(3, seed=0).sum(axis=1)[:2]
        array([3., 3.])
    """
    rng = np.random.default_rng(seed)
    times = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), RESAMPLES)
    return times.astype(np.float64)


def _row_means(values: np.ndarray) -> np.ndarray:
    """(R, N) to (R,): the mean of every seed over its cases."""
    return np.array([nanmean(row) for row in np.asarray(values, np.float64)])


def _case_means(values: np.ndarray) -> np.ndarray:
    """(R, N) to (N,): the mean of every case over the seeds."""
    return _row_means(np.transpose(values))


def _group_means(values: np.ndarray, groups: Sequence[Hashable]) -> np.ndarray:
    """(R, N) to (G,): over the seeds, then over the cases of a group."""
    values, members = _present(values, groups)
    return np.bincount(members, _case_means(values)) / np.bincount(members)


def _changed(differences: np.ndarray, groups: Sequence[Hashable]) -> np.ndarray | None:
    """The means of the groups that differ; None for fewer than two groups."""
    means = _group_means(differences, groups)
    return means[means != 0] if len(means) > 1 else None


def _present(values: np.ndarray, groups: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    """The M cases that some seed has a number for: values (R, M) and numbers 0..G-1 of groups."""
    values = np.asarray(values, np.float64)
    present = ~np.isnan(values).all(axis=0)
    names = group_names(groups)[present]
    return values[:, present], np.unique(names, return_inverse=True)[1]
