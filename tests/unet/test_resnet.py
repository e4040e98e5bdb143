"""ResNet: parameters, sizes, dilation in place of strides, weights of keras.applications."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.tolerances import FLOAT32, assert_close
from tests.unet.reference import randomize
from unet import resnet


def features(shape, depth, **options):
    image = keras.Input(shape)
    return keras.Model(image, resnet.resnet(image, depth, **options))


def image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def bottleneck(channels_in, channels, shortcut):
    convolutions = channels_in * channels + 9 * channels * channels + channels * 4 * channels
    norms = 2 * (channels + channels + 4 * channels)
    return convolutions + norms + shortcut * (channels_in * 4 * channels + 2 * 4 * channels)


@pytest.mark.parametrize(
    ("depth", "count"), [(50, 23_508_032), (101, 42_500_160), (152, 58_143_808)]
)
def test_parameters_of_the_paper_s_networks_without_the_classifier(depth, count):
    by_hand = 7 * 7 * 3 * 64 + 2 * 64
    channels_in = 64
    for channels, blocks in zip((64, 128, 256, 512), resnet.BLOCKS[depth], strict=True):
        by_hand += bottleneck(channels_in, channels, True)
        by_hand += (blocks - 1) * bottleneck(4 * channels, channels, False)
        channels_in = 4 * channels
    assert by_hand == count
    with keras.StatelessScope(initialize_variables=False):
        model = features((None, None, 3), depth)
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == count
    keras.utils.clear_session()


@pytest.mark.parametrize(
    ("output_stride", "last"),
    # The feature sizes of torchvision's resnet50(replace_stride_with_dilation=...) at 224 x 224.
    [(32, (28, 14, 7)), (16, (28, 14, 14)), (8, (28, 28, 28))],
)
def test_sizes_and_channels_of_the_stages(output_stride, last):
    model = features((224, 224, 3), 50, output_stride=output_stride)
    shapes = [tuple(y.shape[1:]) for y in model.outputs]
    assert [shape[:2] for shape in shapes] == [(s, s) for s in (112, 56, *last)]
    assert [shape[2] for shape in shapes] == [64, 256, 512, 1024, 2048]


def test_odd_sizes_are_rounded_up():
    shapes = [tuple(y.shape[1:3]) for y in features((37, 53, 1), 18, width=2).outputs]
    assert shapes == [(19, 27), (10, 14), (5, 7), (3, 4), (2, 2)]


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("deep_stem", [False, True], ids=["7x7", "deep stem"])
def test_dilation_computes_between_what_strides_compute(depth, deep_stem):
    options = {"width": 2, "deep_stem": deep_stem}
    coarse = features((None, None, 2), depth, **options)
    randomize(coarse)
    x = image(2, 45, 70, 2)
    expected = coarse.predict_on_batch(x)[-1]
    for output_stride in (16, 8):
        fine = features((None, None, 2), depth, output_stride=output_stride, **options)
        fine.set_weights(coarse.get_weights())
        y = fine.predict_on_batch(x)[-1]
        step = 32 // output_stride
        assert y.shape[1:3] == (-(-45 // output_stride), -(-70 // output_stride))
        assert_close(y[:, ::step, ::step], expected, FLOAT32)


def test_multi_grid_multiplies_the_dilation_of_the_last_stage():
    model = features((33, 33, 1), 50, width=1, output_stride=16, multi_grid=(1, 2, 4))
    rates = [model.get_layer(f"conv5_block{i}_2_conv").dilation_rate for i in (1, 2, 3)]
    assert rates == [(2, 2), (4, 4), (8, 8)]
    assert model.get_layer("conv4_block6_2_conv").dilation_rate == (1, 1)


def test_deep_stem_has_three_convolutions():
    model = features((33, 33, 3), 18, width=4, deep_stem=True)
    kernels = [model.get_layer(f"conv1_{i}_conv").kernel.shape for i in (1, 2, 3)]
    assert [tuple(k) for k in kernels] == [(3, 3, 3, 4), (3, 3, 4, 4), (3, 3, 4, 8)]


def test_weights_of_keras_applications_give_its_features(monkeypatch):
    source = keras.applications.ResNet50(weights=None, include_top=False)
    randomize(source)
    monkeypatch.setattr(resnet, "classifier", lambda *arguments, **options: source)
    model = features((None, None, 3), 50)
    resnet.load_weights(model, 50, "imagenet")
    x = image(2, 45, 70, 3)
    assert_close(model.predict_on_batch(x)[-1], source.predict_on_batch(x), FLOAT32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 20}, "Expected one of: 18, 34, 50, 101, 152. Received: depth=20"),
        ({"width": 0}, "width=0"),
        ({"output_stride": 4}, "Expected one of: 8, 16, 32"),
        ({"multi_grid": (1, 2)}, "3 factors"),
    ],
    ids=str,
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        features((33, 33, 3), **({"depth": 50} | options))


@pytest.mark.parametrize("wrong", [{"depth": 18}, {"width": 32}, {"num_channels": 1}], ids=str)
def test_imagenet_weights_need_the_network_they_were_trained_on(wrong):
    with pytest.raises(ValueError, match="50, 101 or 152 and width 64"):
        resnet.check_weights("imagenet", **({"depth": 50, "width": 64, "num_channels": 3} | wrong))
