"""One good image, which the tests of bad input spoil."""

import numpy as np

RNG = np.random.default_rng(0)
IMAGE = RNG.uniform(0, 1, (6, 9, 2))
PROBS = RNG.dirichlet(np.ones(3), (6, 9))
CRF = dict(
    theta_alpha=5.0, theta_beta=0.3, theta_gamma=1.5, bilateral_weight=4.0, spatial_weight=2.0
)
NAN = float("nan")
