"""A random image with probabilities."""

import numpy as np

from crfrnn import mean_field

THETAS = dict(theta_alpha=5.0, theta_beta=0.3, theta_gamma=1.5)
WEIGHTS = dict(bilateral_weight=4.0, spatial_weight=2.0)


def case(grid, labels=3, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 1, (*grid, channels))
    return image, rng.dirichlet(np.ones(labels), grid)


def expected(image, probs, num_iterations=5, normalization="symmetric", method="lattice", **crf):
    crf = {**THETAS, **crf}
    logits = mean_field(
        np.log(probs)[None],
        image[None],
        spatial_weight=crf.pop("spatial_weight", 2.0),
        bilateral_weight=crf.pop("bilateral_weight", 4.0),
        num_iterations=num_iterations,
        normalization=normalization,
        method=method,
        native=False,
        **crf,
    )[0]
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
