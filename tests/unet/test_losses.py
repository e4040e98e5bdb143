"""Losses against loops over points, written from the papers' equations."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests import backend
from tests.tolerances import EXACT, FLOAT32, GRADIENT, assert_close
from unet.losses import CrossEntropyAndDice, Focal, SoftDice, Tversky

VOID = 255
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(2, 3, 5, 4)).astype("float32")
LABELS = RNG.integers(0, 4, (2, 3, 5)).astype("int32")
LABELS[0, :, 4] = LABELS[1, 2] = VOID
EQUAL = np.ones((2, 3, 5))
WEIGHTS = RNG.random((2, 3, 5)).astype("float32")


def probability(index, logits=LOGITS):
    """exp(x_l) / sum exp(x) at one point, in float64."""
    weights = [np.exp(float(x)) for x in logits[index]]
    return [w / sum(weights) for w in weights]


def points(cases=(0, 1)):
    return [i for i in np.ndindex(LABELS.shape) if LABELS[i] != VOID and i[0] in cases]


def tversky_by_loops(alpha, beta, cases=(0, 1), labels=(1, 2, 3)):
    each = []
    for label in labels:
        true_positive = false_positive = false_negative = 0.0
        for p in points(cases):
            if LABELS[p] == label:
                true_positive += probability(p)[label]
                false_negative += 1 - probability(p)[label]
            else:
                false_positive += probability(p)[label]
        counted = true_positive + alpha * false_positive + beta * false_negative
        each.append(1 - true_positive / counted)
    return sum(each) / len(each)


def dice_by_loops(**which):
    return tversky_by_loops(0.5, 0.5, **which)


def cross_entropy_by_loops(weights=EQUAL):
    surprise = [-weights[p] * np.log(probability(p)[LABELS[p]]) for p in points()]
    return sum(surprise) / len(surprise)


def focal_by_loops(alpha, gamma):
    own = [(LABELS[p], probability(p)[LABELS[p]]) for p in points()]
    return sum(-alpha[label] * (1 - q) ** gamma * np.log(q) for label, q in own) / len(own)


ALPHA = [0.5, 1.0, 2.0, 0.25]
CASES = {
    "dice": (SoftDice(ignore_class=VOID), dice_by_loops()),
    "dice with background": (
        SoftDice(background=True, ignore_class=VOID),
        dice_by_loops(labels=(0, 1, 2, 3)),
    ),
    "dice per case": (
        SoftDice(per_case=True, ignore_class=VOID),
        (dice_by_loops(cases=(0,)) + dice_by_loops(cases=(1,))) / 2,
    ),
    "tversky": (Tversky(0.2, 0.9, ignore_class=VOID), tversky_by_loops(0.2, 0.9)),
    "focal": (Focal(ignore_class=VOID), focal_by_loops([0.25] * 4, 2)),
    "focal per label": (Focal(ALPHA, 1.5, ignore_class=VOID), focal_by_loops(ALPHA, 1.5)),
    "cross-entropy and dice": (
        CrossEntropyAndDice(ignore_class=VOID),
        cross_entropy_by_loops() + dice_by_loops(),
    ),
    "cross-entropy": (
        CrossEntropyAndDice(dice_weight=0.0, ignore_class=VOID),
        cross_entropy_by_loops(),
    ),
    "cross-entropy and twice dice": (
        CrossEntropyAndDice(dice_weight=2.0, ignore_class=VOID),
        cross_entropy_by_loops() + 2 * dice_by_loops(),
    ),
}
EACH = pytest.mark.parametrize("name", CASES)


@EACH
def test_values_are_those_of_the_equations(name):
    loss, expected = CASES[name]
    assert_close(backend.array(loss(LABELS, LOGITS)), expected, FLOAT32)
    assert_close(backend.array(loss(LABELS[..., None], LOGITS)), expected, FLOAT32)


@EACH
def test_gradients_follow_the_values(name):
    loss = CASES[name][0]
    labels = backend.tensor(LABELS)
    (gradient,) = backend.gradients(lambda logits: loss(labels, logits), LOGITS)
    direction = RNG.normal(size=LOGITS.shape).astype("float32")
    step = 1e-2
    there, back = (
        float(backend.array(loss(LABELS, LOGITS + sign * step * direction))) for sign in (1, -1)
    )
    # Third derivatives of order one leave an error of step**2, float32 one of 1e-7 / step.
    assert_close(np.sum(gradient * direction), (there - back) / (2 * step), 10 * GRADIENT)


@EACH
def test_points_without_label_do_not_enter(name):
    loss = CASES[name][0]
    other = np.where((LABELS == VOID)[..., None], 50 * LOGITS[::-1], LOGITS)
    values = [backend.array(loss(LABELS, logits)) for logits in (LOGITS, other)]
    assert_close(values[1], values[0], EXACT)


@EACH
def test_one_sigmoid_channel_is_a_pair_of_labels(name):
    loss = CASES[name][0]
    if name == "focal per label":
        loss = Focal(ALPHA[:2], 1.5, ignore_class=VOID)
    labels = np.where(LABELS == VOID, VOID, LABELS % 2)
    x = LOGITS[..., :1]
    pair = np.concatenate([-x / 2, x / 2], axis=-1)  # sigmoid(x) = softmax((-x/2, x/2))_1
    values = [backend.array(loss(labels, logits)) for logits in (x, pair)]
    assert_close(values[0], values[1], FLOAT32)


@EACH
def test_a_configuration_makes_the_same_loss(name):
    loss, expected = CASES[name]
    restored = keras.losses.deserialize(keras.losses.serialize(loss))
    assert_close(backend.array(restored(LABELS, LOGITS)), expected, FLOAT32)


@EACH
def test_nothing_but_void_has_a_finite_value(name):
    value = backend.array(CASES[name][0](np.full(LABELS.shape, VOID), LOGITS))
    assert np.isfinite(value)


def test_weights_per_point():
    expected = cross_entropy_by_loops(WEIGHTS) + WEIGHTS.mean(dtype="float64") * dice_by_loops()
    value = CrossEntropyAndDice(ignore_class=VOID)(LABELS, LOGITS, sample_weight=WEIGHTS)
    assert_close(backend.array(value), expected, FLOAT32)


def test_a_point_that_is_very_wrong_still_learns():
    # Keras's own focal loss has gradient 0 here.
    logits = np.array([[[40.0, 0.0]]], "float32")
    labels = backend.tensor(np.array([[1]], "int32"))
    (gradient,) = backend.gradients(lambda x: Focal(1.0)(labels, x), logits)
    assert_close(gradient, [[[1.0, -1.0]]], FLOAT32)  # (1 - p)**2 = 1: that of cross-entropy


def test_a_gamma_without_gradient_is_refused():
    with pytest.raises(ValueError, match=r"gamma=0\.5"):
        Focal(gamma=0.5)


@EACH
def test_trains_and_is_saved_with_a_model(name, tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(4, 1, kernel_initializer="zeros")(image))
    model.compile(keras.optimizers.SGD(0.5), loss=CASES[name][0])
    images = LOGITS[..., :3]
    first, second = (model.train_on_batch(images, LABELS) for _ in range(2))
    assert float(second) < float(first)
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    assert restored.loss.get_config() == CASES[name][0].get_config()
