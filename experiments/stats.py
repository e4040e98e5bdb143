"""Mean and spread over seeds; paired differences with confidence intervals.

Differences are arrays (R, N): R seeds (training runs), N test cases, the same cases in the same
order for both rows compared. NaN marks a case that a metric leaves out.

Two intervals answer two questions, and neither stands for the other:

- over groups: had other patients been in the test set, with these trained networks?
- over seeds: had the networks been trained again (weights, batches, training cases), with this
  test set?
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from scipy import stats

from crfrnn.scores import nanmean
from crfrnn.validation import CONFIDENCE, bootstrap_interval


def mean_and_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean over seeds and cases, and the sample standard deviation of the per-seed means.

    Args:
        values: (R, N), one number per seed and case.

    Returns:
        Mean and standard deviation in the unit of the values; the deviation is NaN for one seed.

    Example:
        >>> mean_and_sd(np.array([[1.0, 3.0], [5.0, 7.0]]))  # per-seed means 2 and 6
        (4.0, 2.8284271247461903)
    """
    per_seed = _row_means(values)
    sd = float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else float("nan")
    return float(np.mean(per_seed)), sd


def interval_over_groups(
    differences: np.ndarray, groups: Sequence[Hashable], seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of the mean difference, resampling groups of test cases.

    Each case counts with its mean over the seeds; cases of one group (one patient) stay together,
    since they are not independent. Covers the choice of test cases, not the noise of training.

    Args:
        differences: (R, N).
        groups: N names.
        seed: of the resampling.

    Returns:
        Lower and upper bound, in the unit of the differences; NaN for fewer than two groups.

    Example:
        >>> interval_over_groups(np.array([[1.0, 1.0, 1.0]]), ["a", "b", "c"])
        (1.0, 1.0)
    """
    per_case = np.array([nanmean(column) for column in np.asarray(differences, np.float64).T])
    return bootstrap_interval(per_case, groups, seed)


def interval_over_seeds(differences: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean difference over repeated trainings (Student's t).

    From the per-seed mean differences. A bootstrap of three to five numbers cannot reach beyond
    the extremes it has seen and is far too narrow; Student's t with R - 1 degrees of freedom says
    honestly how little a few seeds tell. Covers the noise of training, not the choice of test
    cases.

    Args:
        differences: (R, N).

    Returns:
        Lower and upper bound, in the unit of the differences; NaN for one seed.

    Example:
        >>> low, high = interval_over_seeds(np.array([[1.0], [3.0]]))  # 2 +- 12.706 * 1
        >>> round(low, 3), round(high, 3)
        (-10.706, 14.706)
    """
    per_seed = _row_means(differences)
    if len(per_seed) < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(per_seed) - 1) * stats.sem(per_seed)
    return float(np.mean(per_seed) - half), float(np.mean(per_seed) + half)


def _row_means(values: np.ndarray) -> np.ndarray:
    return np.array([nanmean(row) for row in np.asarray(values, np.float64)])
