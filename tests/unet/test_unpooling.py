"""Pooling with indices and unpooling against loops over windows."""

import keras
import numpy as np
import pytest

from tests import backend
from tests.tolerances import EXACT, assert_close
from unet.unpooling import MaxPoolingWithIndices, MaxUnpooling

SHAPES = [(2, 4, 6, 3), (1, 5, 4, 2), (2, 7, 9, 1), (1, 1, 1, 2)]


def pool(x):
    """Maxima, their positions in the window, and their positions (row, column) in the image."""
    batch, height, width, channels = x.shape
    shape = (batch, (height + 1) // 2, (width + 1) // 2, channels)
    maxima, indices = np.full(shape, -np.inf, x.dtype), np.zeros(shape, "int32")
    at = {}
    for b, i, j, c in np.ndindex(*x.shape):
        cell = (b, i // 2, j // 2, c)
        if x[b, i, j, c] > maxima[cell]:
            maxima[cell], indices[cell], at[cell] = x[b, i, j, c], 2 * (i % 2) + j % 2, (b, i, j, c)
    return maxima, indices, at


def values(*shape, seed=0):
    # Few different values: windows with equal maxima occur, and negative ones only.
    return np.random.default_rng(seed).integers(-3, 3, shape).astype("float32")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_maxima_and_where_they_were(shape):
    x = values(*shape)
    maxima, indices, _ = pool(x)
    actual = MaxPoolingWithIndices()(backend.tensor(x))
    assert_close(backend.array(actual[0]), maxima, EXACT)
    np.testing.assert_array_equal(backend.array(actual[1]), indices)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_unpooling_puts_values_back_there(shape):
    x = values(*shape)
    _, indices, at = pool(x)
    y = np.random.default_rng(1).normal(size=indices.shape).astype("float32")
    expected = np.zeros_like(x)
    for cell, place in at.items():
        expected[place] = y[cell]
    actual = MaxUnpooling()([backend.tensor(a) for a in (y, indices, x)])
    assert_close(backend.array(actual), expected, EXACT)


def test_gradients_pass_where_values_passed():
    x, weights = values(1, 5, 4, 2), np.random.default_rng(1).normal(size=(1, 5, 4, 2))
    weights = weights.astype("float32")
    _, _, at = pool(x)

    def loss(x):
        pooled, indices = MaxPoolingWithIndices()(x)
        return keras.ops.sum(MaxUnpooling()([pooled, indices, x]) * backend.tensor(weights))

    expected = np.zeros_like(x)
    for place in at.values():
        expected[place] = weights[place]
    (actual,) = backend.gradients(loss, x)
    assert_close(actual, expected, EXACT)
