"""Few labels that spread: to the edges of the image, slice by slice, and never over a label."""

from __future__ import annotations

import numpy as np

from data import Case
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
    found = propagated(Case(image[0], label, (1.0, 1.0), "a", "a", ignore=255), num_labels=3)
    np.testing.assert_array_equal(found.label, truth[0])
    assert (label == 255).sum() == 58  # the case given is as it was


def test_given_labels_stay_even_where_they_are_wrong():
    image, truth = halves()
    label = np.full((6, 10), 255, "uint8")
    label[2, 1], label[4, 9], label[0, 0] = 0, 2, 2
    found = propagated(Case(image[0], label, (1.0, 1.0), "a", "a", ignore=255), num_labels=3)
    assert found.label[0, 0] == 2 and (found.label == truth[0]).mean() > 0.9


def test_volumes_are_spread_across_their_axis():
    image, truth = halves(depth=3)
    weak = np.full(truth.shape, 255, "uint8")
    weak[0, 2, 1], weak[0, 4, 9] = 0, 2
    weak[1, 3, 3] = 2  # one label alone, everywhere
    image, weak = np.moveaxis(image, 0, 1), np.moveaxis(weak, 0, 1)
    case = Case(image, weak, (1.0, 1.0, 1.0), "a", "a", ignore=255)
    found = np.moveaxis(propagated(case, 3, axis=1).label, 1, 0)
    np.testing.assert_array_equal(found[0], truth[0])
    assert (found[1] == 2).all() and (found[2] == 255).all()


def test_full_labels_are_left_alone():
    image, truth = halves()
    case = Case(image[0], truth[0], (1.0, 1.0), "a", "a")
    np.testing.assert_array_equal(propagated(case, 3).label, truth[0])
