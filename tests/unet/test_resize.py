"""Resizing against bilinear interpolation written from its definition, pixel by pixel."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.tolerances import FLOAT32, assert_close
from unet.resize import ResizeTo


def read(x, row, column):
    """The value at a point between pixels, which lies inside the first and the last pixel."""
    row, column = np.clip([row, column], 0, np.array(x.shape[:2]) - 1)
    top, left = int(row), int(column)
    bottom, right = min(top + 1, x.shape[0] - 1), min(left + 1, x.shape[1] - 1)
    a, b = row - top, column - left
    upper = (1 - b) * x[top, left] + b * x[top, right]
    lower = (1 - b) * x[bottom, left] + b * x[bottom, right]
    return (1 - a) * upper + a * lower


def reference(x, height, width, align_corners):
    result = np.empty((len(x), height, width, x.shape[-1]))
    for b, i, j in np.ndindex(result.shape[:-1]):
        if align_corners:
            at = [
                k * (old - 1) / max(new - 1, 1)
                for k, old, new in zip((i, j), x.shape[1:3], (height, width), strict=True)
            ]
        else:
            at = [
                (k + 0.5) * old / new - 0.5
                for k, old, new in zip((i, j), x.shape[1:3], (height, width), strict=True)
            ]
        result[b, i, j] = read(x[b].astype("float64"), *at)
    return result


@pytest.mark.parametrize("align_corners", [False, True], ids=["centres", "corners"])
@pytest.mark.parametrize("known", [True, False], ids=["static", "None"])
def test_every_pixel_is_read_where_the_definition_says(align_corners, known):
    shapes = [(3, 5, 2), (17, 11, 4)] if known else [(None, None, 2), (None, None, 4)]
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, ResizeTo(align_corners)(inputs))
    assert model.output_shape == (None, *shapes[1][:2], 2)
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 2)).astype("float32")
    y = model.predict_on_batch([x, np.zeros((2, 17, 11, 4), "float32")])
    assert_close(y, reference(x, 17, 11, align_corners), FLOAT32)


@pytest.mark.parametrize("align_corners", [False, True], ids=["centres", "corners"])
@pytest.mark.parametrize(("old", "new"), [((1, 4), (6, 1)), ((2, 1), (2, 3))])
def test_one_pixel_spreads_and_many_become_one(align_corners, old, new):
    x = np.random.default_rng(1).normal(size=(1, *old, 3)).astype("float32")
    y = ResizeTo(align_corners)([x, np.zeros((1, *new, 1), "float32")])
    assert_close(keras.ops.convert_to_numpy(y), reference(x, *new, align_corners), FLOAT32)


def test_configuration():
    layer = ResizeTo.from_config(ResizeTo(align_corners=True, name="up").get_config())
    assert layer.align_corners and layer.name == "up"
