"""LiteSeg and MobileNetV2: parameters, sizes, the deeper pyramid against NumPy, weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.tolerances import FLOAT32, assert_close
from tests.unet.reference import conv_norm_relu, randomize, separable_norm_relu
from unet import mobilenet
from unet.liteseg import deeper_pyramid, liteseg


def image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_the_deeper_pyramid_joins_its_branches_with_the_features():
    x = keras.Input((None, None, 4))
    model = keras.Model(x, deeper_pyramid(x, 3, rates=(1, 2, 4)))
    randomize(model)
    batch = image(2, 6, 7, 4)
    branches = [separable_norm_relu(batch, model, "pyramid0")]
    for i, rate in ((1, 2), (2, 4)):
        y = separable_norm_relu(batch, model, f"pyramid{i}", rate)
        branches.append(separable_norm_relu(y, model, f"pyramid{i}_deeper"))
    mean = conv_norm_relu(batch.mean(axis=(1, 2), keepdims=True), model, "pyramid_image")
    branches.append(np.broadcast_to(mean, (2, 6, 7, 3)))
    joined = np.concatenate([*branches, batch], axis=-1)
    expected = separable_norm_relu(joined, model, "pyramid_join")
    assert_close(model.predict_on_batch(batch), expected, FLOAT32)


def test_parameters_of_mobilenet_without_its_classifier():
    with keras.StatelessScope(initialize_variables=False):
        x = keras.Input((None, None, 3))
        model = keras.Model(x, mobilenet.mobilenetv2(x)[-1])
    # The 3,504,872 of the paper's network, less 1000 classes.
    expected = 3_504_872 - (1280 + 1) * 1000
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == expected
    keras.utils.clear_session()


def test_sizes_and_channels_of_mobilenet():
    features = mobilenet.mobilenetv2(keras.Input((224, 160, 3)))
    assert [tuple(f.shape[1:]) for f in features] == [
        (112, 80, 16),
        (56, 40, 24),
        (28, 20, 32),
        (14, 10, 96),
        (7, 5, 1280),
    ]


def test_weights_of_keras_applications_give_its_features(monkeypatch):
    # Of this size, its strided convolutions start from the first pixel, too.
    source = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(33, 65, 3)
    )
    randomize(source)
    monkeypatch.setattr(mobilenet, "classifier", lambda *arguments, **options: source)
    model = liteseg((None, None, 3), 2, weights="imagenet")
    features = keras.Model(model.input, model.get_layer("conv_last_relu6").output)
    x = image(2, 33, 65, 3)
    assert_close(features.predict_on_batch(x), source.predict_on_batch(x), FLOAT32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width=0"),
        ({"rates": ()}, "number of rates"),
        ({"weights": "imagenet", "width": 8}, "width 32 with three channels"),
        ({"weights": "cityscapes"}, "weights='cityscapes'"),
    ],
    ids=str,
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        liteseg((33, 33, 3), 2, **options)
