"""Statistics against numbers computed by hand or by brute force."""

import itertools

import numpy as np
import pytest

from experiments import stats


def test_spread_is_over_seeds_not_cases():
    # Per-seed means 2 and 6: mean 4, sample deviation sqrt((4 + 4) / 1) = sqrt(8).
    mean, sd = stats.mean_and_sd(np.array([[1.0, 3.0], [5.0, 7.0]]))
    assert (mean, sd) == pytest.approx((4, 8**0.5))
    assert np.isnan(stats.mean_and_sd(np.array([[1.0, 3.0]]))[1])


def test_missing_cases_are_left_out():
    values = np.array([[1.0, np.nan, 3.0], [5.0, 7.0, np.nan]])
    assert stats.mean_and_sd(values)[0] == pytest.approx(4)  # per-seed means 2 and 6
    low, high = stats.interval_over_groups(np.array([[2.0, np.nan, 2.0]]), ["a", "b", "c"])
    assert (low, high) == (2, 2)


def test_interval_over_groups_resamples_groups():
    differences = np.array([[0.0, 0.0, 9.0], [0.0, 2.0, 9.0]])  # per case: 0, 1, 9
    groups = ["a", "a", "b"]
    # Every resample of two groups: aa (0 + 1)/2, ab and ba (0 + 1 + 9)/3, bb 9; quarters each, so
    # the 2.5 and 97.5 percentiles are the extremes.
    low, high = stats.interval_over_groups(differences, groups)
    assert (low, high) == pytest.approx((0.5, 9))


def test_interval_over_groups_agrees_with_all_resamples():
    # Values without a common step: the quantiles of a coarse lattice of means would jump.
    values = np.array([3.13, -1.07, 0.59, 2.21, 7.71])
    means = [np.mean(chosen) for chosen in itertools.product(values, repeat=5)]  # all 3125
    expected = np.percentile(means, [2.5, 97.5])
    interval = stats.interval_over_groups(values[None], list("abcde"))
    # 9999 random resamples stand for all: measured differences up to 0.19 on a width of 5.1.
    assert interval == pytest.approx(tuple(expected), abs=0.3)
    assert interval == stats.interval_over_groups(values[None], list("abcde"))  # seeded


def test_interval_over_seeds_is_students():
    # Seed means 1, 2, 6: mean 3, sd sqrt(7), standard error sqrt(7/3); t(2, .975) = 4.302653.
    low, high = stats.interval_over_seeds(np.array([[0.0, 2.0], [2.0, 2.0], [5.0, 7.0]]))
    half = 4.302653 * (7 / 3) ** 0.5
    assert (low, high) == pytest.approx((3 - half, 3 + half))


def test_too_few_for_an_interval():
    assert np.isnan(stats.interval_over_seeds(np.array([[1.0, 2.0]]))).all()
    assert np.isnan(stats.interval_over_groups(np.array([[1.0, 2.0]]), ["a", "a"])).all()
