"""One random case for the tests of the layer."""

import keras
import numpy as np

from crfrnn.meanfield.mean_field import mean_field

RNG = np.random.default_rng(3)
LABELS, CHANNELS = 3, 2
UNARIES = RNG.normal(0, 2, (2, 6, 5, LABELS)).astype("float32")
IMAGE = RNG.uniform(0, 255, (2, 6, 5, CHANNELS)).astype("float32")
THETAS = dict(theta_alpha=4.0, theta_beta=60.0, theta_gamma=1.5)
COMPATIBILITY = [[-1.0, 0.2, 0.3], [0.1, -0.9, 0.4], [0.0, 0.5, -1.1]]
# Every argument away from its default, JSON-like values as get_config returns them.
ARGUMENTS = dict(
    num_iterations=2,
    num_test_iterations=4,
    theta_alpha=[4.0, 3.0],
    theta_beta=[60.0, 40.0],
    theta_gamma=[1.5, 2.5],
    bilateral_weight=1.25,
    spatial_weight=0.75,
    kernel_weights="full",
    compatibility=COMPATIBILITY,
    trainable_thetas=True,
    normalization="symmetric",
    method="local",
    native=False,
    window=5,
    from_logits=False,
    spacing=[1.0, 0.5],
    image_gradient=True,
    damping=0.25,
)


def by_numpy(unaries=UNARIES, image=IMAGE, iterations=10, bilateral=5.0, spatial=3.0, **changed):
    crf = {**THETAS, "num_iterations": iterations, **changed}
    return mean_field(unaries, image, spatial_weight=spatial, bilateral_weight=bilateral, **crf)


def model_of(layer, spatial=(None, None), channels=CHANNELS, labels=LABELS):
    """Image -> 1 x 1 convolution -> CRF."""
    image = keras.Input((*spatial, channels))
    unaries = keras.layers.Dense(labels, name="unaries")(image)
    return keras.Model(image, layer([unaries, image]))
