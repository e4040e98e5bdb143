"""One small case for the tests of DenseCRFLoss."""

import keras
import numpy as np

from crfrnn import DenseCRFLoss

# ---- Training ------------------------------------------------------------------------------------


def scribbled(loss_weight, **compiled):
    """A linear model of one telling and eight meaningless channels, and data with few labels.

    Returns the compiled model, features (2, 12, 10, 9), targets, and the labels (2, 12, 10).
    """
    rng = np.random.default_rng(4)
    truth = np.zeros((2, 12, 10), "int32")
    truth[0, :, 4:] = truth[1, 7:] = 1
    image = (100.0 * truth + rng.normal(0, 15, truth.shape))[..., None].astype("float32")
    noise = rng.normal(0, 1, (*truth.shape, 8))
    features = np.concatenate([image / 25 - 2, noise], -1).astype("float32")
    scribbles = np.full_like(truth, 255)
    scribbles[0, 5, 1:9:2] = truth[0, 5, 1:9:2]
    scribbles[1, 4:10:2, 6] = truth[1, 4:10:2, 6]

    inputs = keras.Input((None, None, 9))
    # Backends differ in the random numbers of a seed; from zero on, all train alike.
    logits = keras.layers.Dense(2, kernel_initializer="zeros")(inputs)
    model = keras.Model(inputs, {"logits": logits, "energy": logits})
    model.compile(
        keras.optimizers.Adam(0.1),
        loss={
            "logits": keras.losses.SparseCategoricalCrossentropy(True, ignore_class=255),
            "energy": DenseCRFLoss(theta_alpha=6.0, theta_beta=30.0),
        },
        loss_weights={"logits": 1.0, "energy": loss_weight},
        **compiled,
    )
    return model, features, {"logits": scribbles, "energy": image}, truth
