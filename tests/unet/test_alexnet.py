"""AlexNet's own parts: normalisation by neighbouring channels, groups, poolings that round up."""

import keras
import numpy as np
import pytest

from tests import backend
from tests.tolerances import EXACT, FLOAT32, assert_close
from unet.alexnet import LocalResponseNormalization, alexnet


def test_local_response_normalization_by_loops():
    x = np.random.default_rng(0).normal(0, 9, (2, 3, 2, 7)).astype("float32")
    layer = LocalResponseNormalization(size=5, alpha=0.3, beta=0.6)
    expected = np.zeros(x.shape)
    for *place, c in np.ndindex(*x.shape):
        neighbours = x[(*place, slice(max(0, c - 2), c + 3))].astype("float64")
        expected[(*place, c)] = x[(*place, c)] / (1 + 0.3 / 5 * np.sum(neighbours**2)) ** 0.6
    assert_close(backend.array(layer(x)), expected, FLOAT32)


def test_local_response_normalization_of_half_floats():
    x = np.full((1, 1, 1, 5), 300.0)  # whose square no half float holds
    layer = LocalResponseNormalization(alpha=1e-4, dtype="float16")
    expected = 300 / (1 + 1e-4 / 5 * 5 * 300**2) ** 0.75
    found = backend.array(layer(keras.ops.cast(x, "float16")))
    assert found.dtype == np.float16
    assert found[0, 0, 0, 2] == pytest.approx(expected, rel=1e-3)  # a half float's last digit


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 1))
    return keras.Model(image, alexnet(image, width=2))


def inside(network, *names):
    return keras.Model(network.input, [network.get_layer(name).output for name in names])


def test_poolings_lose_no_pixel(network):
    # 48 and 47 positions of the first convolution: windows of 3 at every second.
    x = np.random.default_rng(1).normal(size=(1, 199, 195, 1)).astype("float32")
    before, after = map(backend.array, inside(network, "conv1_relu", "pool1")(x))
    assert before.shape[1:3] == (48, 47) and after.shape[1:3] == (24, 23)
    for i, j in np.ndindex(24, 23):
        window = before[0, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        assert_close(after[0, i, j], window.max((0, 1)), EXACT)


def test_groups_keep_the_halves_apart(network):
    before, *_ = network.get_layer("conv4").input.shape[-1:]
    layer = network.get_layer("conv4")
    x = np.random.default_rng(2).normal(size=(1, 4, 5, before)).astype("float32")
    changed = x.copy()
    changed[..., : before // 2] += 1
    a, b = backend.array(layer(x)), backend.array(layer(changed))
    half = a.shape[-1] // 2
    assert_close(b[..., half:], a[..., half:], EXACT)
    assert np.abs(b[..., :half] - a[..., :half]).min() > 0
