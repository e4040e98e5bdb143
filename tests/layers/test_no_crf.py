"""A guess may leave the CRF out: both weights 0."""

import keras
import numpy as np

import crfrnn
from tests.tolerances import FLOAT32, assert_close

OFF = dict(
    theta_alpha=5.0, theta_beta=0.2, theta_gamma=1.0, bilateral_weight=0.0, spatial_weight=0.0
)


def test_a_layer_without_weights_gives_back_its_logits():
    rng = np.random.default_rng(0)
    unaries = rng.normal(0, 2, (2, 9, 7, 3)).astype("float32")
    image = rng.random((2, 9, 7, 1)).astype("float32")
    layer = crfrnn.CRFRNN(**OFF, num_iterations=5, normalization="after")
    refined = keras.ops.convert_to_numpy(layer([unaries, image]))
    # Up to a number per point, which the softmax does not see.
    assert_close(*(x - x.mean(-1, keepdims=True) for x in (refined, unaries)), FLOAT32)
    network = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(3, 3)])
    attached = crfrnn.attach(network, **OFF)
    assert np.isfinite(keras.ops.convert_to_numpy(attached(image))).all()
