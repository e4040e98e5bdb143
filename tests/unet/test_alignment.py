"""Strides, poolings and interpolation leave everything where it is in the image."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import unet
from tests.tolerances import FLOAT32, assert_close, error
from tests.unet.reference import randomize

# Poolings of 2 x 2 pixels need multiples of the stride, convolutions that stride from the first
# pixel on one pixel more.
POOLED, STRIDED = (16, 24), (33, 65)
RESNET = {"depth": 18, "width": 2}
NETWORKS = {
    "dilated": ({"width": 4, "padding": "same"}, POOLED),
    "deeplabv1": ({"width": 4, "rate": 2}, STRIDED),
    "deeplabv2": (RESNET, STRIDED),
    "deeplabv3": ({**RESNET, "multi_grid": (1, 2)}, STRIDED),
    "pspnet": (RESNET, STRIDED),
    "liteseg": ({"width": 12}, STRIDED),
    "unet of stride 4": ({"width": 4, "depth": 3, "output_stride": 4, "dropout": 0.0}, POOLED),
    "liteseg on darknet": ({"width": 12, "backbone": "darknet19"}, (32, 48)),
    "liteseg on shufflenet": ({"width": 12, "backbone": "shufflenet"}, STRIDED),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_mirrored_image_has_mirrored_logits(name):
    """With symmetric kernels. A shift by any part of a pixel would change its sign."""
    options, size = NETWORKS[name]
    model = unet.build(name.split()[0], (*size, 1), 2, **options)
    randomize(model)
    for weight in model.weights:
        if len(weight.shape) == 4:
            kernel = keras.ops.convert_to_numpy(weight)
            kernel = (kernel + kernel[::-1]) / 2
            weight.assign((kernel + kernel[:, ::-1]) / 2)
        elif "bias" in weight.path:  # would outweigh what is left of the image after 16 layers
            weight.assign(np.zeros(weight.shape))
    x = np.random.default_rng(0).normal(size=(1, *size, 1)).astype("float32")
    y = model.predict_on_batch(x)
    for axis in (1, 2):
        assert error(np.flip(y, axis), y) > 1000 * FLOAT32
        assert_close(np.flip(model.predict_on_batch(np.flip(x, axis)), axis), y, FLOAT32)
