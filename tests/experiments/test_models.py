"""The optimizer's factor for one layer, against Adam's formula."""

import keras
import numpy as np

from experiments import models
from tests.tolerances import FLOAT32, assert_close


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
