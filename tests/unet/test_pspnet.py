"""PSPNet: the pyramid of means against NumPy, the auxiliary output."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.tolerances import FLOAT32, assert_close
from tests.unet import test_pyramid, test_resize
from tests.unet.reference import conv_norm_relu, randomize
from unet.pspnet import AUXILIARY_WEIGHT, pool_pyramid, pspnet

SMALL = {"depth": 18, "width": 2}


def image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_features_are_joined_with_their_means_over_regions():
    x = keras.Input((None, None, 8))
    model = keras.Model(x, pool_pyramid(x, (1, 2, 3, 6)))
    randomize(model)
    batch = image(2, 5, 9, 8)
    levels = [batch]
    for i, bins in enumerate((1, 2, 3, 6)):
        y = conv_norm_relu(test_pyramid.reference(batch, bins), model, f"pyramid{i}_conv")
        levels.append(test_resize.reference(y, 5, 9, align_corners=True))
    expected = np.concatenate(levels, axis=-1)
    assert expected.shape[-1] == 16
    assert_close(model.predict_on_batch(batch), expected, FLOAT32)


def test_features_at_an_eighth_of_the_paper_s_size():
    model = pspnet((473, 473, 3), 2, **SMALL)
    assert model.get_layer("conv4_block2_out").output.shape[1:3] == (60, 60)
    assert model.get_layer("pyramid_concat").output.shape[1:3] == (60, 60)


def test_auxiliary_scores_train_beside_the_others_and_are_left_away():
    keras.utils.set_random_seed(0)
    model = pspnet((17, 25, 1), 2, auxiliary=True, **SMALL)
    assert [tuple(y.shape) for y in model.outputs] == 2 * [(None, 17, 25, 2)]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.Adam(1e-2), loss=[loss, loss], loss_weights=[1, AUXILIARY_WEIGHT]
    )
    x = image(2, 17, 25, 1)
    labels = (x[..., 0] > 0).astype("int32")
    before = model.get_layer("auxiliary_score").get_weights()[0]
    losses = [model.train_on_batch(x, [labels, labels]) for _ in range(3)]
    total, main, auxiliary = (float(value) for value in losses[0])
    np.testing.assert_allclose(total, main + 0.4 * auxiliary, rtol=1e-5)
    assert not np.array_equal(before, model.get_layer("auxiliary_score").get_weights()[0])

    network = keras.Model(model.input, model.outputs[0])
    assert "auxiliary_score" not in [layer.name for layer in network.layers]
    # Two programs, which XLA may sum in two orders.
    assert_close(network.predict_on_batch(x), model.predict_on_batch(x)[0], FLOAT32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": ()}, "number of bins"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"depth": 5}, "depth=5"),
    ],
    ids=str,
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        pspnet((33, 33, 3), 2, **options)
