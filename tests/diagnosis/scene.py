"""A scene to be diagnosed."""

import numpy as np

GOOD = dict(theta_alpha=8.0, theta_beta=25.0, theta_gamma=1.0, bilateral_weight=4.0,
            spatial_weight=1.0)  # fmt: skip


def case(seed=0, noise=5.0, unsure=0.12, shape=(30, 44)):
    """A bright rectangle, and probabilities of it with errors at random points."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, int)
    truth[8:22, 12:34] = 1
    image = 100.0 * truth + rng.normal(0, noise, shape)
    p = np.clip(0.3 + 0.4 * truth + rng.normal(0, unsure, shape), 0.02, 0.98)
    return image, np.stack([1 - p, p], -1), truth
