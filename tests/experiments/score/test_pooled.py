"""Pooled mean IoU against loops over points, and its intervals against those of plain means."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.score import metrics, pooled, stats

LABELS = 3


def maps(seed: int, cases: int = 7) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, LABELS, (cases, 4, 6))
    truths[:, 0, :2] = 255
    noise = rng.integers(0, LABELS, truths.shape)
    predictions = np.where(rng.random(truths.shape) < 0.3, noise, np.where(truths < 9, truths, 0))
    return list(zip(truths, predictions, strict=True))


def counts(pairs, groups) -> np.ndarray:
    """(G, L, 2), through the metrics of cases."""
    found = np.zeros((max(groups) + 1, LABELS, 2))
    for (truth, prediction), group in zip(pairs, groups, strict=True):
        one = metrics.case_metrics(
            truth, prediction, LABELS, (1.0, 1.0), 2.0, ignore=255, background=None
        )
        for label in range(LABELS):
            found[group, label] += one[f"intersection_{label}"], one[f"union_{label}"]
    return found


def test_points_of_all_cases_are_counted_before_anything_is_divided():
    pairs = maps(0)
    shares = []
    for label in range(LABELS):
        intersection = union = 0
        for truth, prediction in pairs:
            for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
                if t != 255:
                    intersection += t == label and p == label
                    union += t == label or p == label
        shares.append(100 * intersection / union)
    found = pooled.mean_iou(counts(pairs, [0, 1, 1, 2, 0, 2, 1]).sum(0))
    assert found == pytest.approx(np.mean(shares))


def test_labels_that_occur_nowhere_are_left_out():
    assert pooled.mean_iou(np.array([[2, 4], [0, 0]])) == 50
    assert np.isnan(pooled.mean_iou(np.zeros((2, 2))))


def test_of_one_label_in_groups_of_equal_union_it_is_a_mean_over_groups():
    """Where pooling is a plain mean, its intervals are those of `stats`, up to the resampling."""
    rng = np.random.default_rng(1)
    row, reference = rng.integers(20, 80, (2, 4, 9, 1, 1))
    union = np.full((4, 9, 1, 1), 100)
    found = pooled.difference(
        np.concatenate([row, union], -1), np.concatenate([reference, union], -1)
    )
    differences, groups = (row - reference)[..., 0, 0], [*"abcdefghi"]
    assert found.mean == pytest.approx(differences.mean())
    assert found.per_seed == pytest.approx(differences.mean(1))
    assert found.over_seeds == pytest.approx(stats.interval_over_seeds(differences))
    # The same random numbers as there; another resampling there.
    assert found.over_both == pytest.approx(stats.interval_over_both(differences, groups))
    width = np.ptp(found.over_groups)
    theirs = stats.interval_over_groups(differences, groups)
    assert found.over_groups == pytest.approx(theirs, abs=0.05 * width)


def test_one_group_or_one_seed_has_no_interval_over_both():
    one = np.array([[[[2, 4]], [[3, 4]]]])  # (1, 2, 1, 2)
    assert np.isnan(pooled.difference(one, one).over_both).all()
    assert not np.isnan(pooled.difference(one, one).over_groups).any()
    assert np.isnan(pooled.difference(one[:, :1], one[:, :1]).over_groups).all()
