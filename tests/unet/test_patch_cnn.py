"""The patch-wise CNN gives at every pixel what a classifier of the patch around it gives."""

import keras
import numpy as np
from keras import layers

import unet
from tests.tolerances import FLOAT32, assert_close


def test_logits_are_those_of_each_patch():
    keras.utils.set_random_seed(0)
    model = unet.build("patch_cnn", (None, None, 2), num_labels=3, width=6)
    # The paper's classifier of one patch, with strides, and the same weights.
    classifier = keras.Sequential([keras.Input((95, 95, 2))])
    for kernel_size in (4, 5, 4, 4):
        classifier.add(layers.Conv2D(6, kernel_size, activation="relu"))
        classifier.add(layers.MaxPooling2D(2))
    classifier.add(layers.Flatten())
    classifier.add(layers.Dense(25, activation="relu"))
    classifier.add(layers.Dense(3))
    assert classifier.layers[7].output.shape == (None, 3, 3, 6)
    weights = [w + 0.01 for w in model.get_weights()]
    model.set_weights(weights)
    classifier.set_weights(
        [w.reshape(v.shape) for w, v in zip(weights, classifier.weights, strict=True)]
    )

    x = np.random.default_rng(0).normal(size=(2, 6, 9, 2)).astype("float32")
    y = model.predict_on_batch(x)
    mirrored = np.pad(x, [(0, 0), (47, 47), (47, 47), (0, 0)], mode="reflect")
    for i, j in [(0, 0), (2, 7), (5, 8), (3, 3)]:
        patch = mirrored[:, i : i + 95, j : j + 95]
        assert_close(y[:, i, j], classifier.predict_on_batch(patch), FLOAT32)
