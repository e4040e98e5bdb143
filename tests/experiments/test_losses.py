"""Losses against loops over points, and the optimizer's factor against Adam's formula."""

import keras
import numpy as np
import pytest

from experiments import losses, models
from experiments.inputs import VOID
from tests.tolerances import EXACT, FLOAT32, assert_close

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(2, 3, 5, 4)).astype("float32")
LABELS = RNG.integers(0, 4, (2, 3, 5)).astype("int32")
LABELS[0, :, 4] = LABELS[1, 2] = VOID


def probability(index):
    """exp(x_l) / sum exp(x) at one point, in float64."""
    weights = [np.exp(float(x)) for x in LOGITS[index]]
    return [w / sum(weights) for w in weights]


def points():
    return [index for index in np.ndindex(LABELS.shape) if LABELS[index] != VOID]


def dice_by_loops():
    each = []
    for label in (1, 2, 3):  # background does not count
        both = sum(probability(p)[label] for p in points() if LABELS[p] == label)
        sizes = sum(probability(p)[label] + (LABELS[p] == label) for p in points())
        each.append(1 - 2 * both / sizes)
    return sum(each) / len(each)


def value(loss, labels, logits):
    tensors = keras.ops.convert_to_tensor(labels), keras.ops.convert_to_tensor(logits)
    return keras.ops.convert_to_numpy(loss(*tensors))


def test_soft_dice():
    assert_close(value(losses.soft_dice, LABELS, LOGITS), dice_by_loops(), FLOAT32)


def test_cross_entropy_and_dice():
    surprise = [-np.log(probability(p)[LABELS[p]]) for p in points()]
    expected = sum(surprise) / len(surprise) + dice_by_loops()
    assert_close(value(losses.cross_entropy_and_dice, LABELS, LOGITS), expected, FLOAT32)


@pytest.mark.parametrize("loss", [losses.soft_dice, losses.cross_entropy_and_dice])
def test_padding_does_not_enter(loss):
    other = np.where((LABELS == VOID)[..., None], 50 * LOGITS[::-1], LOGITS)
    assert_close(value(loss, LABELS, other), value(loss, LABELS, LOGITS), EXACT)


def test_only_the_layers_learning_rate_is_multiplied():
    # Adam's first step is the learning rate times the gradient's sign, whatever its size.
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(1, name="crf")(keras.layers.Dense(2)(x)))
    model.compile(
        models.AdamWithFactor(0.01, layer=model.get_layer("crf"), factor=7.0, epsilon=1e-12),
        loss="mse",
    )
    before = [w.copy() for w in model.get_weights()]
    model.train_on_batch(np.ones((4, 3), "float32"), np.full((4, 1), 9, "float32"))
    steps = [np.abs(new - old) for new, old in zip(model.get_weights(), before, strict=True)]
    for step, expected in zip(steps, (0.01, 0.01, 0.07, 0.07), strict=True):
        # Measured 2e-5: the step is the difference of weights a hundred times larger.
        assert_close(step, np.full_like(step, expected), 10 * FLOAT32)


def test_the_optimizer_keeps_no_variables_of_the_layer():
    # They would be saved twice, and JAX refuses to donate one buffer twice.
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(1, name="crf")(x))
    optimizer = models.AdamWithFactor(0.01, layer=model.get_layer("crf"), factor=7.0)
    optimizer.build(model.trainable_variables)
    own = {id(variable) for variable in model.variables}
    assert not own & {id(variable) for variable in optimizer.variables}
