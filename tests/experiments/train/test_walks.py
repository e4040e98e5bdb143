"""Few labels that spread: to the edges of the image, slice by slice, and never over a label."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import data
from data import Case
from experiments.config import make
from experiments.train import inputs, walks
from experiments.train.walks import propagated


def halves(columns: int = 7, depth: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Volumes (D, 6, 10) of two halves with an edge at a column, and their labels 0 and 2."""
    truth = np.zeros((depth, 6, 10), "uint8")
    truth[..., columns:] = 2
    rng = np.random.default_rng(0)
    image = truth / 2 + rng.normal(0, 0.02, truth.shape)
    return image[..., None].astype("float32"), truth


def test_labels_spread_up_to_the_edge():
    image, truth = halves()
    label = np.full((6, 10), 255, "uint8")
    label[2, 1], label[4, 9] = 0, 2  # the middle between the two is not the edge
    found = propagated(
        Case(image[0], label, (1.0, 1.0), "a", "a", ignore=255), num_labels=3, beta=130.0
    )
    np.testing.assert_array_equal(found.label, truth[0])
    assert (label == 255).sum() == 58  # the case given is as it was


def test_given_labels_stay_even_where_they_are_wrong():
    image, truth = halves()
    label = np.full((6, 10), 255, "uint8")
    label[2, 1], label[4, 9], label[0, 0] = 0, 2, 2
    found = propagated(
        Case(image[0], label, (1.0, 1.0), "a", "a", ignore=255), num_labels=3, beta=130.0
    )
    assert found.label[0, 0] == 2 and (found.label == truth[0]).mean() > 0.9


def test_volumes_are_spread_across_their_axis():
    image, truth = halves(depth=3)
    weak = np.full(truth.shape, 255, "uint8")
    weak[0, 2, 1], weak[0, 4, 9] = 0, 2
    weak[1, 3, 3] = 2  # one label alone, everywhere
    image, weak = np.moveaxis(image, 0, 1), np.moveaxis(weak, 0, 1)
    case = Case(image, weak, (1.0, 1.0, 1.0), "a", "a", ignore=255)
    found = np.moveaxis(propagated(case, 3, axis=1, beta=130.0).label, 1, 0)
    np.testing.assert_array_equal(found[0], truth[0])
    assert (found[1] == 2).all() and (found[2] == 255).all()


def test_full_labels_are_left_alone():
    image, truth = halves()
    case = Case(image[0], truth[0], (1.0, 1.0), "a", "a")
    np.testing.assert_array_equal(propagated(case, 3, beta=130.0).label, truth[0])


def faint(number: int, seed: int) -> list[Case]:
    """Pictures of a faint disk under noise, which few walkers see."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:30, :34]
    cases = []
    for index in range(number):
        middle = rng.integers(10, 20, 2)
        truth = (np.hypot(rows - middle[0], columns - middle[1]) < 8).astype("uint8")
        image = (0.5 + 0.06 * truth + rng.normal(0, 0.01, truth.shape))[..., None]
        cases.append(Case(image.astype("float32"), truth, (1.0, 1.0), f"{seed}{index}", f"{index}"))
    return cases


def right(cases, weakened, beta):
    pairs = zip(cases, weakened, strict=True)
    return np.mean(
        [(propagated(few, 2, 0, beta=beta).label == case.label).mean() for case, few in pairs]
    )


def test_the_best_walker_spreads_few_labels_to_the_truth():
    cases = faint(3, seed=0)
    few = [data.weaken(case, "points", 0, 0) for case in cases]
    best = walks.best_beta(cases, few, 2, 0)
    shares = {beta: right(cases, few, beta) for beta in walks.BETAS}
    assert best == max(shares, key=shares.get) and shares[best] > min(shares.values()) + 0.02


@pytest.mark.parametrize("beta", [0.0, 600.0])
def test_training_cases_are_spread_by_the_walker_of_the_validation_cases(beta, monkeypatch):
    cases = faint(12, seed=1)
    monkeypatch.setattr(data, "load", lambda name: cases)
    settings = make({"labels": "points+walker", "walker_beta": beta, "depth": 1})
    train, validation = (inputs.split(settings, 3)[name] for name in ("train", "val"))
    chosen = beta or walks.best_beta(
        validation, [data.weaken(case, "points", 3, 0) for case in validation], 2, 0
    )
    few = [data.weaken(case, "points", 3, 0) for case in train]
    monkeypatch.setattr(data, "labels", lambda name: ("background", "disk"))
    loaded = inputs.load(settings, 3).train
    for weak, labels in zip(few, loaded.per_case(loaded.labels), strict=True):
        np.testing.assert_array_equal(labels[0], propagated(weak, 2, 0, beta=chosen).label)
    # The default's would be others.
    assert any(
        (propagated(weak, 2, 0, beta=chosen).label != propagated(weak, 2, beta=130.0).label).any()
        for weak in few
    )


def test_a_point_that_no_walk_leaves_has_no_label():
    """Edges may be so strong that the solver finds no way at all: that was the first label."""
    rng = np.random.default_rng(0)
    image = np.zeros((40, 40, 1), np.float32)
    image[:, 20:] = 1
    image[10:30, 25:35] = 0.2
    image = (image + rng.normal(0, 0.02, image.shape)).clip(0, 1).astype(np.float32)
    label = np.full((40, 40), 255, np.uint8)
    label[5, 2:6], label[30, 2:6] = 1, 2
    case = Case(image, label, (1.0, 1.0), "a", "a", ignore=255)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = propagated(case, 3, beta=1e6).label
    assert 0 < np.sum(found == 255) < 10 and set(np.unique(found)) == {1, 2, 255}
