"""Principal components of features, against the singular value decomposition; padding stays far."""

import keras
import numpy as np
import pytest
from keras import ops

import unet
from experiments import config
from experiments.train import inputs, models, references
from tests.tolerances import FLOAT32, assert_close


def features(channels):
    """(500, C), correlated, of unequal variances, far from 0."""
    random = np.random.default_rng(3)
    mixed = random.normal(size=(500, channels)) @ random.normal(size=(channels, channels))
    return (mixed * np.arange(1, channels + 1) + 20.0).astype("float32")


def test_components_are_those_of_the_singular_value_decomposition():
    seen = features(6)
    kernel, bias = references.principal(seen)
    centred = seen.astype(float) - seen.mean(axis=0, dtype=float)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :4] * values[:4] / values[0] * np.sqrt(len(seen)) / np.sqrt(12)
    found = seen @ kernel + bias
    assert_close(np.abs(found), np.abs(expected), 20 * FLOAT32)  # of sums around 20 * C


def test_fewer_channels_than_components_leave_zeros():
    seen = features(3)
    found = seen @ references.principal(seen).kernel
    assert (found[:, :3].std(axis=0) > 1e-3).all() and not found[:, 3].any()


def test_one_channel_is_its_own_component():
    kernel, bias = references.principal(np.arange(5.0)[:, None])
    assert_close(np.abs(np.arange(5.0)[:, None] @ kernel + bias)[:, 0].max(), 0.40825, 1e-4)


def test_features_that_are_all_equal_say_nothing():
    kernel, bias = references.principal(np.ones((10, 5), "float32"))
    assert np.isfinite(kernel).all() and np.abs(np.ones(5) @ kernel + bias).max() < 1e-6


def test_padding_stays_far_from_every_point():
    settings = config.make({"reference": "features", "width": 4, "depth": 1})
    network = models.front_end(settings, 1, 3)
    crf = dict(zip(models.NAMES, (2.0, 0.2, 1.0, 3.0, 1.0), strict=True))
    found = references.Projection(np.ones((4, 4), "float32"), np.zeros(4, "float32"))
    model = models.with_head(network, settings, "crf", crf, found)
    compared = keras.Model(model.input, model.get_layer("head").input[1])
    image = np.random.default_rng(0).random((1, 4, 6, 1)).astype("float32")
    reference = image.copy()
    reference[:, :, 4:] = inputs.FAR
    out = ops.convert_to_numpy(compared({"image": image, "reference": reference}))
    assert out.shape == (1, 4, 6, 4)
    assert (out[:, :, 4:] == inputs.FAR).all() and (out[:, :, :4] > inputs.FAR / 2).all()


def test_a_network_shows_what_its_last_convolution_sees():
    network = unet.build("unet", (None, None, 2), num_labels=3, width=4, depth=1)
    image = np.random.default_rng(1).random((1, 6, 8, 2)).astype("float32")
    seeing = references.seeing(network)
    logits, seen = (ops.convert_to_numpy(one) for one in seeing(image))
    kernel, bias = network.layers[-1].get_weights()
    assert_close(logits, seen @ kernel[0, 0] + bias, FLOAT32)


def test_features_need_whole_slices():
    with pytest.raises(ValueError, match="tile"):
        config.make({"reference": "features", "tile": 64})
