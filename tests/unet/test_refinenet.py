"""RefineNet's chained residual pooling against loops over pixels, and its feature sizes."""

from __future__ import annotations

import keras
import numpy as np

from tests import backend
from tests.tolerances import FLOAT32, assert_close
from tests.unet.reference import convolve, randomize, relu
from unet import refinenet

RNG = np.random.default_rng(0)


def largest_of_5x5(x):
    y = np.empty_like(x)
    for row, column in np.ndindex(x.shape[1:3]):
        window = x[:, max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
        y[:, row, column] = window.max(axis=(1, 2))
    return y


def test_chained_residual_pooling():
    image = keras.Input((None, None, 2))
    model = keras.Model(image, refinenet.pool_chain(image, 3, "pool"))
    x = RNG.normal(size=(2, 9, 7, 2)).astype("float32")
    np.testing.assert_array_equal(backend.array(model(x)), x)  # at the start
    randomize(model)
    link = expected = x.astype("float64")
    for i in (1, 2, 3):
        (kernel,) = model.get_layer(f"pool{i}_conv").get_weights()
        link = convolve(largest_of_5x5(link), kernel)
        expected = expected + link
    assert_close(backend.array(model(x)), expected, FLOAT32)


def test_residual_unit():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, refinenet.residual_unit(image, "unit"))
    x = RNG.normal(size=(2, 5, 6, 3)).astype("float32")
    np.testing.assert_array_equal(backend.array(model(x)), x)  # at the start
    randomize(model)
    first, bias, second = model.get_weights()
    inner = relu(convolve(relu(x), first, bias))
    assert_close(backend.array(model(x)), x + convolve(inner, second), FLOAT32)


def test_every_path_has_the_size_of_its_stage():
    model = refinenet.refinenet((64, 96, 3), 4, width=4, depth=18)
    for stage, channels in ((2, 16), (3, 16), (4, 16), (5, 32)):
        size = 64 // 2**stage, 96 // 2**stage
        assert model.get_layer(f"refine{stage}_out3_add").output.shape == (None, *size, channels)


def test_no_pooling_is_allowed():
    model = refinenet.refinenet((9, 7, 1), 2, width=2, depth=18, num_poolings=0)
    assert model.predict_on_batch(np.ones((1, 9, 7, 1), "float32")).shape == (1, 9, 7, 2)
