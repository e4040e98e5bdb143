"""FCN: its alignment, its bilinear kernels, and how one network starts from another."""

import keras
import numpy as np
import pytest

import unet
from tests import backend
from tests.tolerances import FLOAT32, assert_close
from unet.upsampling import Bilinear, upsample


def image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize(
    ("name", "height", "width"),
    [
        *((f"fcn{stride}s", 58, 90) for stride in (32, 16, 8)),
        ("fcn32s_alexnet", 59, 91),  # 32 k + 27: its windows and steps come out even
    ],
)
def test_logits_are_aligned_with_the_image(name, height, width):
    """A network of symmetric kernels gives mirrored logits for a mirrored image.

    That is so only if every crop takes the middle, provided that the image with its padding
    (S + 198) is a multiple of 32, so that the poolings treat both ends alike: 58 and 90 are.
    """
    keras.utils.set_random_seed(0)
    model = unet.build(name, (height, width, 1), num_labels=3, width=2, dropout=0.0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, bias = layer.get_weights()
            if layer.name.startswith("score_pool"):  # 0 would hide the skips
                kernel = np.random.default_rng(1).normal(size=kernel.shape)
            kernel = kernel + kernel[::-1] + kernel[:, ::-1] + kernel[::-1, ::-1]
            if len(kernel) > 1:  # differences between pixels count, not their mean
                kernel -= kernel.mean(axis=(0, 1))
            layer.set_weights([kernel, bias])
    x = image(1, height, width, 1)
    y = model.predict_on_batch(x)
    for mirror in (np.s_[:, ::-1], np.s_[:, :, ::-1]):
        assert np.abs(y - y[mirror]).max() > 0.01 * np.abs(y).max()
        assert_close(model.predict_on_batch(x[mirror]), y[mirror], FLOAT32)


@pytest.mark.parametrize(("factor", "fewer"), [(2, 0), (8, 0), (4, 1)])
def test_bilinear_kernel_interpolates(factor, fewer):
    # Output pixel o of a transposed convolution with 2 f taps and stride f has its centre at
    # (o + 1/2 - f) / f input pixels from the centre of pixel 0; with 2 f - 1 taps half a pixel off.
    x = image(1, 5, 4, 2)
    up = keras.Sequential([keras.Input((5, 4, 2))])
    up.add(layer_of(upsample, factor, 2 * factor - fewer))
    y = backend.array(up(x))
    assert y.shape == (1, 6 * factor - fewer, 5 * factor - fewer, 2)
    expected = np.zeros_like(y)
    for o, p, i, j, c in np.ndindex(*y.shape[1:3], 5, 4, 2):
        row = (o + 0.5 + fewer / 2 - factor) / factor - i
        column = (p + 0.5 + fewer / 2 - factor) / factor - j
        weight = max(0, 1 - abs(row)) * max(0, 1 - abs(column))
        expected[0, o, p, c] += weight * x[0, i, j, c]
    assert_close(y, expected, FLOAT32)


def layer_of(function, factor, taps):
    inputs = keras.Input((None, None, 2))
    return keras.Model(inputs, function(inputs, factor, taps=taps, learned=False, name="up"))


def test_bilinear_kernel_mixes_no_channels():
    kernel = backend.array(Bilinear()((4, 4, 3, 3)))
    assert (kernel[:, :, ~np.eye(3, dtype=bool)] == 0).all()


def test_learned_upsampling_has_weights_to_train():
    fixed = unet.build("fcn8s", (None, None, 1), 3, width=2)
    learned = unet.build("fcn8s", (None, None, 1), 3, width=2, upsampling="learned")
    assert len(learned.trainable_weights) == len(fixed.trainable_weights) + 3


def test_a_finer_network_starts_where_the_coarser_one_ended():
    keras.utils.set_random_seed(0)
    coarse = unet.build("fcn32s", (None, None, 1), 3, width=2)
    fine = unet.build("fcn16s", (None, None, 1), 3, width=2)
    copied = unet.initialize_from(fine, coarse)
    assert {"block1_conv1", "fc6", "fc7", "score"} <= set(copied)
    assert not {"score_pool4", "upscore16"} & set(copied)
    # Up-sampled twice and then 16 times instead of 32 times: the same up to interpolation, where
    # there are neighbours to interpolate.
    x = image(2, 165, 203, 1)
    a, b = (model.predict_on_batch(x)[:, 48:-48, 48:-48] for model in (coarse, fine))
    assert np.abs(a - b).max() < 0.1 * (a.max() - a.min())


def test_at_once_scales_the_skips():
    keras.utils.set_random_seed(0)
    staged = unet.build("fcn8s", (None, None, 1), 3, width=2)
    at_once = unet.build("fcn8s", (None, None, 1), 3, width=2, at_once=True)
    unet.initialize_from(at_once, staged)
    for name, scale in (("score_pool4", 0.01), ("score_pool3", 0.0001)):
        kernel = np.random.default_rng(0).normal(size=staged.get_layer(name).kernel.shape)
        staged.get_layer(name).set_weights([kernel, np.ones(3)])
        at_once.get_layer(name).set_weights([kernel / scale, np.ones(3)])
    x = image(1, 37, 53, 1)
    assert_close(at_once.predict_on_batch(x), staged.predict_on_batch(x), FLOAT32)


def test_nothing_in_common_is_an_error():
    models = [unet.build("unet", (9, 7, 1), 2, width=w, depth=0) for w in (2, 3)]
    with pytest.raises(ValueError, match="Nothing to copy"):
        unet.initialize_from(*models)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (8, 8, 8, 1)}, r"Expected \(H, W, K\) without the batch"),
        ({"upsampling": "nearest"}, "upsampling='nearest'"),
        ({"weights": "voc"}, "weights='voc'"),
        ({"weights": "imagenet", "width": 8}, "width=8"),
        ({"name": "fcn32s_alexnet", "width": 3}, "even number.*width=3"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_errors_name_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        unet.build(**{"name": "fcn8s", "input_shape": (32, 32, 3), "num_labels": 2} | arguments)
