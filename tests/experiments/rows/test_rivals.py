"""What stands behind a network and is no CRF: each against a small truth by another route."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import config
from experiments.rows.filtered import Filtered
from experiments.rows.guided import Guided, guided_filter
from experiments.rows.rankseg import decoded, exchanged
from experiments.train.walks import walked
from tests.experiments.rows.test_offline import blocks
from tests.tolerances import EXACT, FLOAT32, assert_close

RNG = np.random.default_rng(2)


def test_the_guided_filter_is_a_regression_in_every_window():
    """At a pixel: the mean, over the windows that hold it, of what their regressions say there."""
    guide, values = RNG.uniform(size=(9, 8, 2)), RNG.uniform(size=(9, 8, 3))
    radius, eps = 1, 0.01
    expected, centre = np.zeros(3), (4, 5)
    for row, column in itertools.product((3, 4, 5), (4, 5, 6)):
        window = np.s_[row - 1 : row + 2, column - 1 : column + 2]
        x, y = guide[window].reshape(9, 2), values[window].reshape(9, 3)
        ridge = (x - x.mean(0)).T @ (x - x.mean(0)) / 9 + eps * np.eye(2)
        slope = np.linalg.solve(ridge, (x - x.mean(0)).T @ (y - y.mean(0)) / 9)
        expected += (y.mean(0) + (guide[centre] - x.mean(0)) @ slope) / 9
    assert_close(guided_filter(guide, values, radius=radius, eps=eps)[centre], expected, FLOAT32)


def test_guided_probabilities_are_probabilities():
    probs = RNG.dirichlet(np.ones(3), (7, 9))
    changed = Guided.changed(RNG.uniform(size=(7, 9, 1)), probs, radius=2, eps=1e-3)
    assert changed.min() >= 0
    assert_close(changed.sum(-1), np.ones((7, 9)), FLOAT32)


def test_walks_solve_the_equations_of_the_resistors():
    pytest.importorskip("skimage")
    image = np.array([0.0, 0.1, 0.5, 0.6, 0.7]).reshape(1, 5, 1)
    first = np.array([0.99, 0.5, 0.5, 0.5, 0.01])  # sure at both ends
    found = walked(image, np.stack([first, 1 - first], -1)[None], confidence=0.9, beta=20.0)
    # In a chain the probability falls in proportion to the resistances passed.
    weights = np.exp(-20.0 * np.diff(image.ravel()) ** 2 / (10 * image.std()))  # scikit-image's
    resistance = np.concatenate([[0.0], np.cumsum(1 / (weights + 1e-6))])
    assert_close(found[0, :, 0], 1 - resistance / resistance[-1], 1e-3)  # of an iterative solver


def test_walks_give_probabilities_and_none_in_an_image_of_one_colour():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet((0.3, 0.3, 0.3), (12, 15))
    found = walked(rng.normal(size=(12, 15, 1)), probs, confidence=0.9, beta=50.0)
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(-1), 1)
    assert walked(np.full((12, 15, 1), 0.3), probs, confidence=0.9, beta=50.0) is probs


def test_without_two_sure_labels_nothing_walks():
    image, probs = RNG.uniform(size=(4, 5, 1)), np.full((4, 5, 3), 1 / 3)
    assert walked(image, probs, confidence=0.9, beta=10.0) is probs
    probs[0, 0] = [0.98, 0.01, 0.01]
    assert walked(image, probs, confidence=0.9, beta=10.0) is probs


def test_rankseg_finds_the_best_expected_dice():
    pytest.importorskip("rankseg", reason="RankSEG is not installed")
    pytest.importorskip("torch")
    foreground = np.array([0.95, 0.45, 0.42, 0.1, 0.05, 0.02])
    probs = np.stack([1 - foreground, foreground], -1)[None]
    labels = decoded(probs).argmax(-1)[0]

    def expected_dice(chosen):
        total = 0.0
        for truth in itertools.product((0, 1), repeat=6):
            likely = np.prod(np.where(truth, foreground, 1 - foreground))
            size = np.sum(truth) + np.sum(chosen)
            total += likely * (2 * np.dot(truth, chosen) / size if size else 1.0)
        return total

    # Not what is likelier than not, but what is better on average.
    assert expected_dice(labels) > expected_dice(foreground > 0.5) + 0.01


def test_exchanged_probabilities_have_the_given_labels():
    probs = RNG.dirichlet(np.ones(4), (3, 5))
    labels = RNG.integers(0, 4, (3, 5))
    changed = exchanged(probs, labels)
    np.testing.assert_array_equal(changed.argmax(-1), labels)
    assert_close(np.sort(changed, -1), np.sort(probs, -1), EXACT)


def row_of(how, logits):
    """A row of a kind that rests on given logits, without a repetition around it."""
    slices, _ = blocks()
    below = SimpleNamespace(
        key="plain",
        inputs=SimpleNamespace(validation=slices, test=slices),
        scores=lambda split: slices.per_case(logits),
    )
    bench = SimpleNamespace(
        rows={"plain": below},
        config=config.make({}),
        alive=lambda: None,
        inputs=lambda config: below.inputs,
    )
    return how("rival", SimpleNamespace(of=("plain",), settings={}), bench)


def test_the_best_of_what_was_tried_is_used_where_it_helps():
    _, logits = blocks()
    wrong = RNG.random(logits.shape[:3]) < 0.1
    noisy = logits.copy()
    noisy[wrong] = noisy[wrong][:, ::-1]
    row = row_of(Guided, noisy)
    scores = row.scores("test")
    assert row.found["use"] and row.found["best_dice"] > row.found["off"] + 5
    assert row.details["search"]["best"] in Guided.TRIED
    left = np.argmax(np.concatenate(scores), -1) != np.argmax(logits, -1)
    assert np.mean(left) < np.mean(wrong)


def test_it_is_off_where_it_only_harms():
    class Worse(Filtered):
        @staticmethod
        def changed(image, probs):
            return probs[..., ::-1]

    _, logits = blocks()
    row = row_of(Worse, logits)
    assert not row.found["use"] and row.found["off"] == 100
    for kept, given in zip(row.scores("test"), logits, strict=True):
        assert_close(kept, given[None], EXACT)
