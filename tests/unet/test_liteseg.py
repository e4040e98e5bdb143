"""LiteSeg and MobileNetV2: parameters, sizes, the deeper pyramid against NumPy, weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.tolerances import FLOAT32, assert_close
from tests.unet.reference import conv_norm_relu, randomize, separable_norm_relu
from unet import mobilenet
from unet.darknet import darknet19
from unet.liteseg import deeper_pyramid, liteseg
from unet.shufflenet import GroupConvolution, shufflenet


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


@pytest.mark.parametrize(
    ("backbone", "count"),
    [
        # The 3,504,872 of the paper's network, less 1000 classes.
        (mobilenet.mobilenetv2, 3_504_872 - (1280 + 1) * 1000),
        (darknet19, 19_817_376),
        (shufflenet, 897_768),
    ],
    ids=["mobilenetv2", "darknet19", "shufflenet"],
)
def test_parameters_of_the_backbones_without_their_classifiers(backbone, count):
    with keras.StatelessScope(initialize_variables=False):
        x = keras.Input((None, None, 3))
        model = keras.Model(x, backbone(x)[-1])
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == count
    keras.utils.clear_session()


@pytest.mark.parametrize("shuffle", [False, True])
def test_group_convolution(shuffle):
    x = keras.Input((None, None, 6))
    model = keras.Model(x, GroupConvolution(9, groups=3, shuffle=shuffle)(x))
    batch = image(2, 4, 5, 6)
    (kernel,) = model.get_weights()
    expected = np.empty((2, 4, 5, 9))
    for group, k in np.ndindex(3, 3):
        channel = k * 3 + group if shuffle else group * 3 + k
        own = batch[..., 2 * group : 2 * group + 2].astype("float64")
        expected[..., channel] = own @ kernel[group, :, k]
    assert_close(model.predict_on_batch(batch), expected, FLOAT32)


@pytest.mark.parametrize("backbone", ["darknet19", "shufflenet"])
def test_other_backbones_take_images_of_any_size_and_are_saved(backbone, tmp_path):
    model = liteseg((None, None, 1), 3, backbone=backbone, width=12)
    x = image(2, 37, 53, 1)
    y = model.predict_on_batch(x)
    assert y.shape == (2, 37, 53, 3)
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(restored.predict_on_batch(x), y)
    assert model.predict_on_batch(x[:, :1, :3]).shape == (2, 1, 3, 3)


def test_sizes_and_channels_of_mobilenet():
    features = mobilenet.mobilenetv2(keras.Input((224, 160, 3)))
    assert [tuple(f.shape[1:]) for f in features] == [
        (112, 80, 16),
        (56, 40, 24),
        (28, 20, 32),
        (14, 10, 96),
        (7, 5, 1280),
    ]


def test_sizes_and_channels_of_the_others():
    image = keras.Input((64, 48, 3))
    shapes = [tuple(f.shape[1:]) for f in darknet19(image)]
    assert shapes[2:] == [(16, 12, 128), (8, 6, 256), (4, 3, 512), (4, 3, 1024)]
    shapes = [tuple(f.shape[1:]) for f in shufflenet(image)]
    assert shapes == [(16, 12, 24), (8, 6, 384), (4, 3, 768), (4, 3, 1536)]


@pytest.mark.parametrize("backbone", ["mobilenetv2", "shufflenet"])
def test_initial_weights_follow_the_seed_and_differ_between_layers(backbone):
    def kernels():
        keras.utils.set_random_seed(3)
        model = liteseg((33, 33, 1), 2, backbone=backbone, width=12)
        return [w for w in model.get_weights() if w.ndim > 2 and w.std() > 0]

    first = kernels()
    for a, b in zip(first, kernels(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len({a.tobytes() for a in first}) == len(first)


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
        ({"backbone": "vgg16"}, "Expected one of: .mobilenetv2., .darknet19., .shufflenet."),
        ({"weights": "imagenet", "width": 8}, "width 96 with three channels"),
        ({"weights": "imagenet", "backbone": "darknet19"}, "backbone='darknet19'"),
        ({"weights": "cityscapes"}, "weights='cityscapes'"),
    ],
    ids=str,
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        liteseg((33, 33, 3), 2, **options)
