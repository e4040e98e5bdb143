"""The dilated front end and its context module, against NumPy and the paper's equations."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

from tests.tolerances import FLOAT32, assert_close
from tests.unet.reference import convolve, pass_through, randomize, relu
from unet.context import DILATIONS, WIDTHS, GroupIdentity, context_module
from unet.dilated import dilated


def image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def module(num_labels, kind):
    x = keras.Input((None, None, num_labels))
    return keras.Model(x, context_module(x, kind))


@pytest.mark.parametrize(("kind", "count"), [("basic", 28_392), ("large", 6_803_139)])
def test_parameters_of_the_paper(kind, count):
    assert module(21, kind).count_params() == count


def test_starts_as_the_identity_of_positive_scores():
    x = image(2, 7, 5, 3)
    np.testing.assert_array_equal(module(3, "basic").predict_on_batch(x), relu(x))
    large = module(3, "large").predict_on_batch(x)
    assert np.abs(large - relu(x)).max() < 0.1 * x.max()  # up to its noise


@pytest.mark.parametrize("kind", ["basic", "large"])
def test_a_chain_of_initial_kernels_is_the_identity(kind):
    """Equation 5 without noise: label by label, c / C channels in and weights C / c' out."""
    num_labels = 3
    channels = [num_labels, *(num_labels * width for width in WIDTHS[kind])]
    chain = np.eye(num_labels)
    for before, after in itertools.pairwise(channels):
        kernel = keras.ops.convert_to_numpy(GroupIdentity(num_labels)((3, 3, before, after)))
        for a, b in np.ndindex(before, after):
            same_label = a * num_labels // before == b * num_labels // after
            assert kernel[1, 1, a, b] == np.float32(same_label * num_labels / after)
        chain = chain @ kernel[1, 1]
        kernel[1, 1] = 0
        assert not kernel.any()
    assert_close(chain, np.eye(num_labels), FLOAT32)


def test_initial_noise_is_small_and_differs_between_layers():
    model = module(2, "large")
    first, second = (model.get_layer(f"context{i}").get_weights()[0] for i in (6, 7))
    noise = first[0, 0]  # a tap beside the centre, 32 -> 64 channels
    assert 0.5 * 0.01 < noise.std() / (2 / 64) < 2 * 0.01
    assert not np.array_equal(first[0], second[0, :, : first.shape[2]])
    restored = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(GroupIdentity(3, noise=0.01, seed=4))
    )
    assert (restored.num_labels, restored.noise, restored.seed) == (3, 0.01, 4)


def test_context_of_any_scores():
    model = module(2, "basic")
    randomize(model)
    x = image(2, 6, 9, 2)
    # Zeros around once, 33 on each side, as far as the seven dilations reach together; what is
    # computed there takes part.
    y = np.pad(x, ((0, 0), (33, 33), (33, 33), (0, 0)))
    for i, dilation in enumerate(DILATIONS):
        y = relu(convolve(y, *model.get_layer(f"context{i + 1}").get_weights(), dilation))
        y = y[:, dilation:-dilation, dilation:-dilation]
    expected = convolve(y, *model.get_layer("context8").get_weights())
    assert_close(model.predict_on_batch(x), expected, FLOAT32)


@pytest.mark.parametrize("padding", ["mirror", "same"])
def test_scores_belong_to_blocks_of_8_pixels(padding):
    model = dilated((None, None, 1), 1, width=1, padding=padding)
    pass_through(model)
    score = keras.Model(model.input, model.get_layer("score").output)
    x = np.abs(image(2, 37, 53, 1))
    blocks = np.pad(
        x, ((0, 0), (0, 3), (0, 3), (0, 0)), mode="reflect" if padding == "mirror" else "constant"
    )
    expected = blocks.reshape(2, 5, 8, 7, 8, 1).max(axis=(2, 4))
    np.testing.assert_array_equal(score.predict_on_batch(x), expected)


def test_dilations_replace_the_last_two_poolings():
    model = dilated((64, 48, 1), 2, width=1, context="basic")
    assert "block4_pool" not in [layer.name for layer in model.layers]
    names = ("block4_conv1", "block5_conv1", "fc6", "context6")
    assert [model.get_layer(name).dilation_rate[0] for name in names] == [1, 2, 4, 16]
    assert model.get_layer("score").output.shape[1:3] == (8, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": "huge"}, 'Expected one of: None, "basic", "large"'),
        ({"padding": "valid"}, "padding='valid'"),
        ({"width": 0}, "width=0"),
        ({"weights": "imagenet", "width": 2}, "width 64 with three channels"),
    ],
    ids=str,
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        dilated((33, 33, 3), 2, **options)
