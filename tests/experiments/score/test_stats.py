"""Statistics against numbers computed by hand or by brute force."""

import itertools

import numpy as np
import pytest
from scipy.stats import t as students_t

from experiments.score import stats

# Two seeds, six cases of four patients in no order, numbers missing: group means over (seeds, then
# cases) are a (2 + 0) / 2 = 1, b 3, c -2, d (5 + 4) / 2 = 4.5.
DIFFERENCES = np.array([[1.0, 3.0, -1.0, 5.0, -1.0, np.nan], [3.0, np.nan, -3.0, 5.0, 1.0, 4.0]])
GROUPS = ["a", "b", "c", "d", "a", "d"]


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
    at_90 = stats.interval_over_groups(values[None], list("abcde"), confidence=0.9)
    assert at_90 == pytest.approx(tuple(np.percentile(means, [5, 95])), abs=0.3)
    # 9999 random resamples stand for all: measured differences up to 0.19 on a width of 5.1.
    assert interval == pytest.approx(tuple(expected), abs=0.3)
    assert interval == stats.interval_over_groups(values[None], list("abcde"))  # seeded


def test_interval_over_seeds_is_students():
    # Seed means 1, 2, 6: mean 3, sd sqrt(7), standard error sqrt(7/3); t(2, .975) = 4.302653.
    low, high = stats.interval_over_seeds(np.array([[0.0, 2.0], [2.0, 2.0], [5.0, 7.0]]))
    half = 4.302653 * (7 / 3) ** 0.5
    assert (low, high) == pytest.approx((3 - half, 3 + half))
    at_90 = stats.interval_over_seeds(np.array([[1.0], [2.0], [6.0]]), confidence=0.9)
    half = 2.919986 * (7 / 3) ** 0.5
    assert at_90 == pytest.approx((3 - half, 3 + half))


def test_too_few_for_an_interval():
    assert np.isnan(stats.interval_over_seeds(np.array([[1.0, 2.0]]))).all()
    assert np.isnan(stats.interval_over_groups(np.array([[1.0, 2.0]]), ["a", "a"])).all()
    assert np.isnan(stats.interval_over_both(np.array([[1.0, 2.0]]), ["a", "b"])).all()
    assert np.isnan(stats.interval_over_both(np.array([[1.0, 2.0], [2.0, 3.0]]), "aa")).all()


def test_interval_over_both_has_the_distribution_of_all_resamples_and_students():
    # All 4^4 resamples of the groups; for each the means of both seeds over the chosen cases.
    centres, errors = [], []
    for chosen in itertools.product("abcd", repeat=4):
        columns = [n for name in chosen for n, group in enumerate(GROUPS) if group == name]
        first, second = (
            np.nanmean(row[columns]) if not np.isnan(row[columns]).all() else np.nan
            for row in DIFFERENCES
        )
        centres.append((first + second) / 2)
        errors.append(abs(first - second) / 2)  # the standard error of two numbers
    # bbbb has no number of the second seed. Two seeds: Student's t of 1 degree of freedom.
    kept = ~np.isnan(centres)
    assert np.sum(~kept) == 1
    centres, errors = np.array(centres)[kept], np.array(errors)[kept]
    low, high = stats.interval_over_both(DIFFERENCES, GROUPS)
    with np.errstate(divide="ignore"):
        below = [np.mean(students_t.cdf((bound - centres) / errors, 1)) for bound in (low, high)]
    # Only the resampling is random: up to 0.0003 measured over five seeds. Drawing from Student's
    # t as well would have a standard deviation of 0.0016.
    assert below == pytest.approx([0.025, 0.975], abs=0.001)
    assert (low, high) == stats.interval_over_both(DIFFERENCES, GROUPS)  # seeded


def test_interval_over_both_weighs_every_case_equally():
    # Rounds: aa (0 + 1)/2, ab and ba (0 + 1 + 9)/3, bb 9; quarters each. The middle half is ab.
    same_seeds = np.tile([0.0, 1.0, 9.0], (2, 1))
    middle = stats.interval_over_both(same_seeds, ["a", "a", "b"], confidence=0.4)
    assert middle == pytest.approx((10 / 3, 10 / 3))


def test_interval_over_both_is_that_over_the_one_that_varies():
    seeds, cases = np.array([[1.0], [2.0], [6.0], [3.0]]), np.array([3.13, -1.07, 0.59, 2.21, 7.71])
    over = stats.interval_over_both(np.tile(seeds, 5), "abcde")
    assert over == pytest.approx(stats.interval_over_seeds(seeds), abs=1e-5)
    # 9999 rounds of few values: a measured difference of 0.18 on a width of 5.1.
    over = stats.interval_over_both(np.tile(cases, (4, 1)), "abcde")
    assert over == pytest.approx(stats.interval_over_groups(cases[None], "abcde"), abs=0.3)


def test_interval_over_both_holds_the_truth_as_often_as_it_says():
    # Three seeds whose noise dominates, the hard case: resampling them holds 0 in 70 %.
    random = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        seeds, cases = random.normal(0, 1, (3, 1)), random.normal(0, 0.5, 10)
        low, high = stats.interval_over_both(seeds + cases, range(10))
        held += low <= 0 <= high
    assert 90 <= held <= 99  # 5 sd below 95 would be 84


def test_wilcoxon_is_the_share_of_sign_changes_as_extreme():
    means = np.array([1, 3, -2, 4.5])  # see DIFFERENCES
    ranks = np.array([1, 3, 2, 4])
    sums = [abs(np.sum(ranks * s)) for s in itertools.product((-1, 1), repeat=4)]  # all 16
    expected = np.mean(np.array(sums) >= abs(np.sum(ranks * np.sign(means))))
    assert stats.wilcoxon(DIFFERENCES, GROUPS) == pytest.approx(expected)
    assert stats.rank_biserial(DIFFERENCES, GROUPS) == pytest.approx((1 + 3 + 4 - 2) / 10)


def test_dependent_cases_do_not_count_twice():
    # Eight slices of each patient, all alike, tell no more than one.
    once, eight = DIFFERENCES, np.repeat(DIFFERENCES, 8, axis=1)
    for test in (stats.wilcoxon, stats.rank_biserial):
        assert test(eight, np.repeat(GROUPS, 8)) == pytest.approx(test(once, GROUPS))


def test_no_difference_at_all():
    zeros = np.zeros((3, 6))
    zeros[:, 5] = np.nan
    found = stats.estimate(zeros, range(6))
    assert (found.p_value, found.rank_biserial) == (1, 0)
    assert found.over_groups == found.over_seeds == found.over_both == (0, 0)


def test_zeros_and_equal_differences():
    # Zeros are left out: 0 0 1 -> one group, both signs as extreme.
    assert stats.wilcoxon(np.array([[0.0, 0.0, 1.0]]), "abc") == 1
    assert stats.rank_biserial(np.array([[0.0, -1.0, 1.0, 1.0]]), "abcd") == pytest.approx(1 / 3)


def test_nothing_to_test():
    for differences in (np.array([[1.0, 2.0]]), np.full((2, 2), np.nan)):
        found = stats.estimate(differences, "aa")
        assert np.isnan([found.p_value, found.rank_biserial]).all()


def test_compare_bundles_what_the_others_say():
    found = stats.estimate(DIFFERENCES, GROUPS, seed=3)
    # Per seed: (1 + 3 - 1 + 5 - 1) / 5 and (3 - 3 + 5 + 1 + 4) / 5.
    assert found.per_seed == pytest.approx((1.4, 2.0))
    assert found.mean == pytest.approx(1.7)
    assert found.over_groups == stats.interval_over_groups(DIFFERENCES, GROUPS, 3)
    assert found.over_seeds == stats.interval_over_seeds(DIFFERENCES)
    assert found.over_both == stats.interval_over_both(DIFFERENCES, GROUPS, 3)
    assert found.p_value == stats.wilcoxon(DIFFERENCES, GROUPS)
    assert found.rank_biserial == stats.rank_biserial(DIFFERENCES, GROUPS)


def test_holm_is_the_closed_test_of_bonferronis():
    p_values = [0.04, 0.001, 0.2, 0.012, 0.6]
    # A hypothesis falls when every set that contains it falls by Bonferroni's test.
    sets = [s for size in range(1, 6) for s in itertools.combinations(range(5), size)]
    expected = [
        max(min(1, len(s) * min(p_values[k] for k in s)) for s in sets if n in s) for n in range(5)
    ]
    assert stats.holm(p_values) == pytest.approx(expected)
    with_gap = stats.holm([*p_values[:2], float("nan"), *p_values[2:]])
    assert np.isnan(with_gap[2])
    assert np.delete(with_gap, 2) == pytest.approx(expected)
    assert np.isnan(stats.holm([float("nan")])).all()


def test_equivalence_needs_the_interval_over_both_within_the_margin():
    # Seeds -.1 0 .1: 90 % interval +- 2.92 * .1 / sqrt(3) = .169; at 95 % it would be .248.
    seeds = np.array([[-0.1], [0.0], [0.1]])
    same_cases = np.tile(seeds, 4)
    assert stats.equivalent(same_cases, "abcd", margin=0.2)
    assert not stats.equivalent(same_cases, "abcd", margin=0.16)
    # Cases that differ by up to 1 make the interval over groups too wide, seeds or not.
    assert not stats.equivalent(seeds + np.array([-1.0, 1.0, -1.0, 1.0]), "abcd", margin=0.2)
    assert not stats.equivalent(same_cases + 0.1, "abcd", margin=0.2)
    # Sixteen cases of +-.36: +-.15 over groups, +-.17 over seeds, but +-.22 over both.
    both = seeds + np.tile([-0.36, 0.36], 8)
    assert np.abs(stats.interval_over_groups(both, range(16), confidence=0.9)).max() < 0.19
    assert np.abs(stats.interval_over_seeds(both, confidence=0.9)).max() < 0.19
    assert not stats.equivalent(both, range(16), margin=0.19)
    assert not stats.equivalent(same_cases[:1], "abcd", margin=0.2)  # one seed shows nothing
