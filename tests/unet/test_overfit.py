"""Every network can learn four real images by heart: gradients reach what matters, with effect."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import data
import unet
from tests.unet.table import TABLE

IMAGES = 4
STEPS = 400  # at most; most networks need a fourth of them
BATCH = 25  # steps between two looks at the Dice

# Logits at every 16th or 32nd pixel, interpolated, cannot follow the outline of a small cell: with
# stride 32, those fitted freely to these four reach a Dice of 0.80 at 60 x 60 pixels, and 0.97 at
# 120 x 120.
COARSE = ("fcn16s", "fcn32s", "fcn32s_alexnet")


def images(size):
    """Four white blood cells: (4, size, size, 3) with zero mean and unit deviation; cell or not."""
    if not (data.root_folder() / "wbc1").is_dir():
        pytest.skip("wbc1 is not here; set CRFRNN_DATA")
    cases = [case for case in data.load("wbc1") if case.image.shape == (120, 120, 3)][:IMAGES]
    step = 120 // size
    x = np.stack([case.image[::step, ::step] for case in cases])
    labels = np.stack([case.label[::step, ::step] > 0 for case in cases]).astype("int32")
    return ((x - x.mean()) / x.std()).astype("float32"), labels


def dice(prediction, labels):
    return 2 * np.sum(prediction * labels) / np.sum(prediction + labels)


@pytest.mark.nightly
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="one backend is enough")
@pytest.mark.parametrize("name", unet.names())
def test_learns_four_images_by_heart(name):
    keras.utils.set_random_seed(0)
    x, labels = images(120 if name in COARSE else 60)
    row = TABLE[name]
    options = row.reduced if row.overfit is None else row.overfit
    model = unet.build(name, x.shape[1:], 2, **options)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # running means that keep up with so few steps
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(row.learning_rate, 2 * STEPS)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    found = []
    for _ in range(STEPS // BATCH):
        model.fit(x, labels, batch_size=IMAGES, epochs=BATCH, verbose=0)
        found.append(dice(np.argmax(model.predict_on_batch(x), axis=-1), labels))
        if found[-1] > 0.95:
            return
    raise AssertionError(f"Dice after every {BATCH} steps: {np.round(found, 3)}")
