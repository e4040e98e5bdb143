"""Pyramid pooling against averages taken bin by bin, with exact fractions for the borders."""

from __future__ import annotations

import math
from fractions import Fraction

import keras
import numpy as np
import pytest

from tests.tolerances import FLOAT32, assert_close
from unet.pyramid import AdaptiveAveragePooling


def reference(x, bins):
    def pixels(i, size):
        return range(
            math.floor(Fraction(i * size, bins)), math.ceil(Fraction((i + 1) * size, bins))
        )

    result = np.empty((len(x), bins, bins, x.shape[-1]))
    for b, i, j in np.ndindex(result.shape[:-1]):
        values = [x[b, h, w] for h in pixels(i, x.shape[1]) for w in pixels(j, x.shape[2])]
        result[b, i, j] = np.mean(np.asarray(values, np.float64), axis=0)
    return result


@pytest.mark.parametrize("bins", [1, 2, 3, 6])  # the pyramid of PSPNet
def test_bins_of_maps_larger_and_smaller_than_the_grid(bins):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, AdaptiveAveragePooling(bins)(image))
    assert model.output_shape == (None, bins, bins, 3)
    for shape in [(12, 18), (5, 7), (1, 2)]:
        x = np.random.default_rng(bins).normal(size=(2, *shape, 3)).astype("float32")
        assert_close(model.predict_on_batch(x), reference(x, bins), FLOAT32)


def test_configuration():
    layer = AdaptiveAveragePooling.from_config(AdaptiveAveragePooling(6, name="six").get_config())
    assert (layer.bins, layer.name) == (6, "six")
