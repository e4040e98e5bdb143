"""Sampling and choice of points against loops, from section 3.1 of the PointRend paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests import backend
from tests.tolerances import FLOAT32, assert_close
from unet import points

RNG = np.random.default_rng(0)
ALIGNMENTS = pytest.mark.parametrize("align_corners", [True, False])


def bilinear(features, row, column, stride, align_corners):
    """One interpolated value per channel: every pixel weighs (1 - |dy|) (1 - |dx|)."""
    height, width, _ = features.shape
    centre = 0 if align_corners else 0.5
    y = min(max((row + centre) / stride - centre, 0), height - 1)
    x = min(max((column + centre) / stride - centre, 0), width - 1)
    total = 0.0
    for i, j in np.ndindex(height, width):
        weight = max(1 - abs(y - i), 0) * max(1 - abs(x - j), 0)
        total = total + weight * features[i, j].astype("float64")
    return total


@ALIGNMENTS
def test_sample(align_corners):
    features = RNG.normal(size=(2, 4, 6, 3)).astype("float32")
    positions = RNG.uniform(-5, 30, (2, 9, 2)).astype("float32")  # some outside
    found = points.sample(backend.tensor(features), backend.tensor(positions), 4, align_corners)
    expected = [
        [bilinear(features[b], *positions[b, n], 4, align_corners) for n in range(9)]
        for b in range(2)
    ]
    assert_close(backend.array(found), expected, FLOAT32)


def test_sample_at_positions_that_all_images_share():
    features = backend.tensor(RNG.normal(size=(2, 4, 6, 3)).astype("float32"))
    positions = RNG.uniform(0, 20, (1, 5, 2)).astype("float32")
    shared = points.sample(features, backend.tensor(positions), 4, True)
    repeated = points.sample(features, backend.tensor(np.repeat(positions, 2, axis=0)), 4, True)
    np.testing.assert_array_equal(backend.array(shared), backend.array(repeated))


@ALIGNMENTS
def test_a_map_sampled_on_its_own_grid_is_the_map(align_corners):
    features = RNG.normal(size=(1, 3, 5, 2)).astype("float32")
    grid = points.grid(3, 5, 8, align_corners)
    found = points.sample(backend.tensor(features), grid, 8, align_corners)
    assert_close(backend.array(found), features.reshape(1, 15, 2), FLOAT32)


@pytest.mark.parametrize("num_labels", [1, 2, 5])
def test_uncertainty(num_labels):
    logits = RNG.normal(size=(2, 7, num_labels)).astype("float32")
    expected = np.zeros((2, 7))
    for index in np.ndindex(2, 7):
        first, second = sorted([0.0, *logits[index]] if num_labels == 1 else logits[index])[-2:]
        expected[index] = -(second - first)
        if num_labels == 1:  # between the labels 0, of logit 0, and 1
            expected[index] = -abs(float(logits[index][0]))
    assert_close(backend.array(points.uncertainty(backend.tensor(logits))), expected, FLOAT32)


def test_most_uncertain():
    uncertainties = -RNG.random((3, 11)).astype("float32")
    found = backend.array(points.most_uncertain(backend.tensor(uncertainties), 4))
    for row, chosen in zip(uncertainties, found, strict=True):
        np.testing.assert_array_equal(chosen, np.argsort(-row)[:4])
    everything = backend.array(points.most_uncertain(backend.tensor(uncertainties), 99))
    np.testing.assert_array_equal(np.sort(everything), np.tile(np.arange(11), (3, 1)))


def test_replace():
    values = RNG.normal(size=(2, 5, 3)).astype("float32")
    indices = np.array([[4, 0], [1, 3]], "int32")
    new = RNG.normal(size=(2, 2, 3)).astype("float32")
    expected = values.copy()
    for b, n in np.ndindex(2, 2):
        expected[b, indices[b, n]] = new[b, n]
    found = points.replace(*(backend.tensor(a) for a in (values, indices, new)))
    np.testing.assert_array_equal(backend.array(found), expected)


def choose(uncertainties, *arguments, seed=0):
    tensor = backend.tensor(uncertainties.astype("float32"))
    return backend.array(points.choose(tensor, *arguments, seed=seed))


def choose_by_the_paper(uncertainties, num_points, oversampling, importance, rng):
    """k N candidates, the beta N most uncertain of them, and (1 - beta) N from anywhere."""
    total = len(uncertainties)
    candidates = rng.choice(total, oversampling * num_points, replace=False).tolist()
    candidates.sort(key=lambda index: -uncertainties[index])
    important = candidates[: math.ceil(importance * num_points)]
    left = [index for index in range(total) if index not in candidates]
    return important + rng.choice(left, num_points - len(important), replace=False).tolist()


def test_choice_is_distributed_as_in_the_paper():
    num_images, total, num_points = 4000, 40, 8
    uncertainties = RNG.permutation(total) - 50.0
    chosen = choose(np.tile(uncertainties, (num_images, 1)), num_points, 3, 0.75)
    assert chosen.shape == (num_images, num_points)
    assert (np.diff(np.sort(chosen), axis=1) > 0).all()  # no point twice
    expected = [
        choose_by_the_paper(uncertainties, num_points, 3, 0.75, RNG) for _ in range(num_images)
    ]
    shares = [np.bincount(np.ravel(x), minlength=total) / num_images for x in (chosen, expected)]
    # Two binomial shares p of n draws differ by sqrt(2 p (1 - p) / n) on average, at most 0.0112.
    np.testing.assert_allclose(shares[0], shares[1], atol=5 * 0.0112)
    # Not by chance: the most uncertain points are chosen far more often than the least.
    order = np.argsort(-uncertainties)
    assert shares[0][order[:5]].min() > 3 * shares[0][order[-5:]].max()


def test_without_oversampling_every_point_is_as_likely():
    chosen = choose(np.tile(np.arange(20.0), (4000, 1)), 5, 1, 1.0)
    share = np.bincount(chosen.ravel(), minlength=20) / 4000
    np.testing.assert_allclose(share, 0.25, atol=5 * math.sqrt(0.25 * 0.75 / 4000))


def test_all_points_are_candidates_if_there_are_so_few():
    uncertainties = RNG.random((2, 30))
    chosen = choose(uncertainties, 7, 10, 1.0)
    for row, found in zip(uncertainties, chosen, strict=True):
        assert set(found) == set(np.argsort(-row)[:7])


@pytest.mark.parametrize("total", [1, 6])
@pytest.mark.parametrize("importance", [0.1, 0.75, 1.0])
def test_no_more_points_than_there_are(importance, total):
    chosen = choose(RNG.random((2, total)), 100, 3, importance)
    np.testing.assert_array_equal(np.sort(chosen), np.tile(np.arange(total), (2, 1)))


def test_a_seed_decides():
    uncertainties = RNG.random((2, 50))
    np.testing.assert_array_equal(
        choose(uncertainties, 5, 3, 0.5, seed=1), choose(uncertainties, 5, 3, 0.5, seed=1)
    )
    assert (
        choose(uncertainties, 5, 3, 0.5, seed=1) != choose(uncertainties, 5, 3, 0.5, seed=2)
    ).any()
