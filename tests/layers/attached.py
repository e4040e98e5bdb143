"""Models for the tests of attach."""

import keras
import numpy as np
from keras import layers, ops

from crfrnn.meanfield.mean_field import mean_field
from tests import backend

RNG = np.random.default_rng(9)
CRF = dict(
    num_iterations=2, num_test_iterations=2, theta_alpha=3.0, theta_beta=0.4, theta_gamma=1.5,
    method="exact",
)  # fmt: skip
IMAGE = RNG.uniform(0, 1, (2, 6, 4, 3)).astype("float32")


def refined(logits, image=IMAGE):
    options = {k: v for k, v in CRF.items() if k != "num_test_iterations"}
    return mean_field(logits, image, spatial_weight=3.0, bilateral_weight=5.0, **options)


def convolution(labels=3, **options):
    return layers.Conv2D(labels, 3, padding="same", bias_initializer="glorot_normal", **options)


def logits_by_hand(convolution, image=IMAGE):
    kernel, bias = convolution.get_weights()
    strides = convolution.strides
    return backend.array(ops.conv(image, kernel, strides=strides, padding="same") + bias)


def functional(last, *after, size=(None, None)):
    """Image -> convolution -> what stands behind it."""
    image = keras.Input((*size, 3))
    x = last(image)
    for function in after:
        x = function(x)
    return keras.Model(image, x)
