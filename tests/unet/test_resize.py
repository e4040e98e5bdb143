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


def reference(x, height, width, align_corners=False, factor=None):
    result = np.empty((len(x), height, width, x.shape[-1]))
    for b, *pixel in np.ndindex(result.shape[:-1]):
        at = []
        for k, old, new in zip(pixel, x.shape[1:3], (height, width), strict=True):
            if align_corners:
                at.append(k / factor if factor else k * (old - 1) / max(new - 1, 1))
            else:
                at.append((k + 0.5) / factor - 0.5 if factor else (k + 0.5) * old / new - 0.5)
        result[(b, *pixel)] = read(x[b].astype("float64"), *at)
    return result


WAYS = pytest.mark.parametrize(
    "options",
    [
        {},
        {"align_corners": True},
        {"factor": 4},
        {"align_corners": True, "factor": 4},
    ],
    ids=str,
)


@WAYS
@pytest.mark.parametrize("known", [True, False], ids=["static", "None"])
def test_every_pixel_is_read_where_the_definition_says(options, known):
    shapes = [(3, 5, 2), (17, 11, 4)] if known else [(None, None, 2), (None, None, 4)]
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, ResizeTo(**options)(inputs))
    assert model.output_shape == (None, *shapes[1][:2], 2)
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 2)).astype("float32")
    y = model.predict_on_batch([x, np.zeros((2, 17, 11, 4), "float32")])
    assert_close(y, reference(x, 17, 11, **options), FLOAT32)
    if not known:  # the second size makes TensorFlow trace sizes that are unknown
        for old, new in (((4, 3), (9, 13)), ((2, 7), (5, 8))):
            x = np.random.default_rng(0).normal(size=(1, *old, 2)).astype("float32")
            y = model.predict_on_batch([x, np.zeros((1, *new, 4), "float32")])
            assert_close(y, reference(x, *new, **options), FLOAT32)


@WAYS
@pytest.mark.parametrize(("old", "new"), [((1, 4), (6, 1)), ((2, 1), (2, 3))])
def test_one_pixel_spreads_and_many_become_one(options, old, new):
    x = np.random.default_rng(1).normal(size=(1, *old, 3)).astype("float32")
    y = ResizeTo(**options)([x, np.zeros((1, *new, 1), "float32")])
    assert_close(keras.ops.convert_to_numpy(y), reference(x, *new, **options), FLOAT32)


@pytest.mark.parametrize("align_corners", [False, True], ids=["pooling", "strided convolution"])
@pytest.mark.parametrize("size", [37, 40, 41])
def test_the_factor_undoes_a_reduction_of_any_size(align_corners, size):
    """A ramp stays where it is, but for the ends, beyond the outermost small pixels."""
    ramp = np.arange(size, dtype="float32")
    # 8 x 8 pooling takes the mean of pixels 8 i to 8 i + 7; striding reads pixel 8 i.
    small = ramp[::8] if align_corners else ramp[::8] + 3.5
    small = np.tile(small[None, :, None, None], (1, 1, 2, 1))
    resized = ResizeTo(align_corners, factor=8)([small, np.zeros((1, size, 2, 1), "float32")])
    resized = keras.ops.convert_to_numpy(resized)[0, :, 0, 0]
    inside = slice(0, 8 * ((size - 1) // 8)) if align_corners else slice(4, 8 * ((size - 1) // 8))
    assert_close(resized[inside], ramp[inside], FLOAT32)


def test_configuration():
    layer = ResizeTo.from_config(ResizeTo(align_corners=True, factor=8, name="up").get_config())
    assert layer.align_corners and layer.factor == 8 and layer.name == "up"
