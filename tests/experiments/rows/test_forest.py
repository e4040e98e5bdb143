"""The random forest tells textures apart, and says of labels that it has not seen the least."""

from types import SimpleNamespace

import numpy as np

import data
from experiments import config
from experiments.rows import forest
from experiments.train.inputs import VOID, Inputs, Slices
from tests.tolerances import FLOAT32, assert_close


def stripes(seed):
    """(48, 60, 1), fine noise left, coarse noise right of column 30, of equal means; its labels."""
    rng = np.random.default_rng(seed)
    image = np.zeros((48, 60, 1), "float32")
    image[:, :30, 0] = rng.normal(0.5, 0.2, (48, 30))
    image[:, 30:, 0] = np.kron(rng.normal(0.5, 0.2, (12, 8)), np.ones((4, 4)))[:, :30]
    labels = np.zeros((48, 60), "int32")
    labels[:, 30:] = 2  # and no point has label 1
    return image, labels


def slices(seed):
    image, labels = stripes(seed)
    case = data.Case(image, labels.astype("uint8"), (1.0, 1.0), str(seed), str(seed))
    known = np.where(np.arange(60) % 7 == 3, VOID, labels)  # some columns have no label
    return Slices([case], image[None], image[None], known[None], axis=0)


def made():
    loaded = Inputs(slices(0), slices(1), slices(2), num_labels=3, background=True)
    settings = config.make({})
    bench = SimpleNamespace(seed=3, rows={}, config=settings, inputs=lambda _: loaded)
    return forest.Forest("forest", SimpleNamespace(of=(), settings={}), bench)


def test_textures_of_one_mean_are_told_apart():
    (scores,) = made().scores("test")
    _, labels = stripes(2)
    inner = np.abs(np.arange(60) - 29.5) > 3  # away from the seam
    assert scores.shape == (1, 48, 60, 3)
    assert (scores[0].argmax(-1) == labels)[:, inner].mean() > 0.8  # 0.88 was seen


def test_scores_are_logarithms_of_probabilities_and_what_was_not_seen_has_the_least():
    (scores,) = made().scores("test")
    assert_close(scores[..., 1], np.full((1, 48, 60), np.log(forest.LEAST)), FLOAT32)
    sums = np.exp(scores[..., [0, 2]]).sum(-1)  # 1, but for what was raised to the least
    assert sums.min() > 1 - FLOAT32 and sums.max() < 1 + forest.LEAST + FLOAT32


def test_the_seed_decides_the_trees():
    first, second = made().scores("validation"), made().scores("validation")
    np.testing.assert_array_equal(first[0], second[0])
