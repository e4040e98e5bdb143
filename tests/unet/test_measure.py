"""Receptive fields against perturbed images, multiply-adds against sums by hand, the docs' page."""

from pathlib import Path

import keras
import numpy as np
import pytest

import unet
from unet import blocks, measure, summary
from unet.unpooling import MaxPoolingWithIndices, MaxUnpooling

ROOT = Path(__file__).parents[2]


def widest_by_perturbation(model, height):
    """Rows of the image that change a row of logits, at most, over the rows in the middle.

    A maximum lets only the largest value through, so a row of noise may pass unseen; large noise of
    both signs, at all columns and channels, is seen by one of them.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, height, 8, 1)).astype("float32")
    moved = np.repeat(x, height, axis=0)
    for row in range(height):
        moved[row, row] += 50 * rng.normal(size=(8, 1))
    y = model.predict(np.concatenate([x, moved]), batch_size=32, verbose=0)
    changed = np.abs(y[1:] - y[:1]).max(axis=(2, 3))  # (row of the image, row of the logits)
    changed = changed > 1e-5 * changed.max()  # not rounding, which differs between batches
    middle = range(height // 4, 3 * height // 4)
    return max(np.ptp(np.flatnonzero(changed[:, row])) + 1 for row in middle)


@pytest.mark.parametrize(
    ("name", "options", "height"),
    [
        ("unet", {"width": 8, "depth": 1}, 48),
        ("unet", {"width": 8, "depth": 2, "padding": "mirror"}, 96),
        ("patch_cnn", {"width": 8}, 208),
    ],
    ids=["unet", "mirror", "patch_cnn"],
)
def test_receptive_field(name, options, height):
    keras.utils.set_random_seed(0)
    model = unet.build(name, (None, None, 1), 2, **options)
    traced = measure.trace(model, (height, 8))
    assert measure.receptive_field(traced) == widest_by_perturbation(model, height)


def test_receptive_field_through_pooling_and_unpooling():
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 1))
    before = blocks.convolution(image, 8, name="before")
    pooled, indices = MaxPoolingWithIndices()(before)
    x = blocks.convolution(pooled, 8, name="below")
    x = MaxUnpooling()([x, indices, before])
    model = keras.Model(image, blocks.logits(x, 2, 3))
    traced = measure.trace(model, (48, 8))
    assert measure.receptive_field(traced) == widest_by_perturbation(model, 48)
    assert measure.output_stride(traced) == 2


def test_measures_of_fcn():
    with keras.StatelessScope(initialize_variables=False):
        model = unet.build("fcn32s", (None, None, 3), 21)
        traced = measure.trace(model, (224, 224))
    # VGG16's last positions see 404 pixels; a logit lies between two of them, 32 pixels apart.
    assert measure.receptive_field(traced) == 404 + 32
    assert measure.output_stride(traced) == 32
    keras.utils.clear_session()


def test_measures_of_fcn_on_alexnet():
    with keras.StatelessScope(initialize_variables=False):
        model = unet.build("fcn32s_alexnet", (None, None, 3), 21)
        traced = measure.trace(model, (224, 224))
    # The paper's table 1: "rf size 355", "max stride 32"; a logit lies between two positions.
    assert measure.receptive_field(traced) == 355 + 32
    assert measure.output_stride(traced) == 32
    keras.utils.clear_session()


def test_multiply_adds_of_unet():
    model = unet.build("unet", (16, 12, 1), 3, width=4, depth=1)
    full, half = 16 * 12, 8 * 6
    expected = (
        full * 9 * (1 * 4 + 4 * 4)
        + half * 9 * (4 * 8 + 8 * 8)
        + half * 4 * 8 * 4  # the up-convolution, at every position of its input
        + full * 9 * (8 * 4 + 4 * 4)
        + full * 4 * 3
    )
    assert measure.multiply_adds(measure.trace(model, (16, 12))) == expected


def test_pooling_of_everything_sees_the_whole_image():
    model = unet.build("pspnet", (64, 64, 1), 2, width=2, depth=18)
    traced = measure.trace(model, (64, 64))
    assert measure.receptive_field(traced) is None
    assert measure.output_stride(traced) == 8


def test_an_unknown_layer_is_named():
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.UpSampling2D(name="up")(image))
    with pytest.raises(ValueError, match="'up', a UpSampling2D"):
        measure.receptive_field(measure.trace(model, (8, 8)))


def test_the_page_is_up_to_date():
    committed = (ROOT / "docs" / "networks.md").read_text()
    assert committed == summary.page(), "run: python -m unet > docs/networks.md"
