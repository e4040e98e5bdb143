"""DeepLab v1, v2, v3: dilation and atrous pyramids against NumPy, backbones, rates."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.tolerances import FLOAT32, assert_close
from tests.unet.reference import conv_norm_relu, convolve, pass_through, randomize
from unet.blocks import convolution
from unet.deeplabv1 import deeplabv1
from unet.deeplabv2 import deeplabv2
from unet.deeplabv3 import atrous_pyramid, deeplabv3


def image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("dilation", [1, 2, 6])
def test_dilated_convolution(dilation):
    x = keras.Input((None, None, 2))
    y = convolution(x, 3, dilation=dilation, activation=None, name="dilated")
    model = keras.Model(x, y)
    randomize(model)
    batch = image(2, 5, 8, 2)  # smaller than the reach of the last dilation
    kernel, bias = model.get_layer("dilated").get_weights()
    expected = convolve(batch, kernel, bias, dilation)
    assert_close(model.predict_on_batch(batch), expected, FLOAT32)


def test_v3_pyramid_joins_five_branches():
    x = keras.Input((None, None, 4))
    model = keras.Model(x, atrous_pyramid(x, 3, rates=(1, 2, 5)))
    randomize(model)
    batch = image(2, 7, 6, 4)
    branches = [conv_norm_relu(batch, model, "aspp_0")]
    for i, rate in ((1, 1), (2, 2), (3, 5)):
        branches.append(conv_norm_relu(batch, model, f"aspp_{i}", rate))
    mean = batch.mean(axis=(1, 2), keepdims=True)
    branches.append(np.broadcast_to(conv_norm_relu(mean, model, "aspp_image"), (2, 7, 6, 3)))
    expected = conv_norm_relu(np.concatenate(branches, axis=-1), model, "aspp_join")
    assert_close(model.predict_on_batch(batch), expected, FLOAT32)


def test_v2_sums_scores_of_different_dilations():
    model = deeplabv2((None, None, 1), 3, depth=18, width=2, rates=(1, 2, 3, 4))
    randomize(model)
    inner = keras.Model(
        model.input, [model.get_layer("conv5_block2_out").output, model.get_layer("sum").output]
    )
    features, scores = inner.predict_on_batch(image(2, 37, 53, 1))
    assert features.shape[1:3] == (5, 7)  # output stride 8
    expected = sum(
        convolve(features, *model.get_layer(f"fc1_{i}").get_weights(), dilation=i + 1)
        for i in range(4)
    )
    assert_close(scores, expected, FLOAT32)


def test_v2_on_vgg_sums_branches_of_three_layers():
    model = deeplabv2((None, None, 1), 2, depth=16, width=1, rates=(1, 3), dropout=0.0)
    randomize(model)
    inner = keras.Model(
        model.input, [model.get_layer("block5_pool").output, model.get_layer("sum").output]
    )
    features, scores = inner.predict_on_batch(image(2, 37, 53, 1))
    assert features.shape[1:3] == (5, 7)
    expected = 0
    for i, rate in ((0, 1), (1, 3)):
        y = features
        for name, dilation in ((f"fc6_{i}", rate), (f"fc7_{i}", 1)):
            y = np.maximum(convolve(y, *model.get_layer(name).get_weights(), dilation), 0)
        expected = expected + convolve(y, *model.get_layer(f"fc8_{i}").get_weights())
    assert_close(scores, expected, FLOAT32)


def test_v3_rates_double_where_pixels_halve():
    options = {"depth": 50, "width": 1}
    for output_stride, rates, grid in ((16, (6, 12, 18), (2, 4, 8)), (8, (12, 24, 36), (4, 8, 16))):
        model = deeplabv3((65, 97, 1), 2, output_stride=output_stride, **options)
        found = [model.get_layer(f"aspp_{i}").dilation_rate[0] for i in (1, 2, 3)]
        assert tuple(found) == rates
        blocks = [model.get_layer(f"conv5_block{i}_2_conv").dilation_rate[0] for i in (1, 2, 3)]
        assert tuple(blocks) == grid
        assert model.get_layer("score").output.shape[1:3] == (
            -(-65 // output_stride),
            -(-97 // output_stride),
        )


def test_v1_dilates_what_follows_the_poolings_that_do_not_stride():
    model = deeplabv1((64, 48, 3), 2, width=1)
    assert model.get_layer("block5_pool").output.shape[1:3] == (8, 6)
    rates = [
        model.get_layer(name).dilation_rate[0]
        for name in ("block4_conv3", "block5_conv1", "block5_conv3", "fc6")
    ]
    assert rates == [1, 2, 2, 12]


@pytest.mark.parametrize("size", [40, 41])
def test_v1_scores_are_centred_on_every_8th_pixel(size):
    """Where only poolings act, a score is the largest of the pixels that they reach."""
    model = deeplabv1((size, 53, 1), 1, width=1)
    pass_through(model)
    score = keras.Model(model.input, model.get_layer("fc8").output)
    x = np.abs(image(2, size, 53, 1))
    reach = 1 + 2 + 4 + 8 + 8  # of 3 x 3 pixels at the strides 1, 2, 4, 8, 8
    expected = np.empty((2, -(-size // 8), 7, 1), "float32")
    for i, j in np.ndindex(expected.shape[1:3]):
        rows = slice(max(8 * i - reach, 0), 8 * i + reach + 1)
        columns = slice(max(8 * j - reach, 0), 8 * j + reach + 1)
        expected[:, i, j] = x[:, rows, columns].max(axis=(1, 2))
    np.testing.assert_array_equal(score.predict_on_batch(x), expected)


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (deeplabv1, {"rate": 0}, "rate=0"),
        (deeplabv1, {"weights": "imagenet", "width": 2}, "width 64 with three channels"),
        (deeplabv2, {"depth": 19}, "Expected one of: 16, 18"),
        (deeplabv2, {"rates": ()}, "number of rates"),
        (deeplabv2, {"weights": "imagenet", "width": 2}, "width 64 with three channels"),
        (deeplabv3, {"output_stride": 32}, "Expected one of: 16, 8"),
        (deeplabv3, {"depth": 18}, "2 factors"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(getattr(value, "__name__", value)),
)
def test_errors_name_the_argument(build, options, message):
    with pytest.raises(ValueError, match=message):
        build((33, 33, 3), 2, **options)
