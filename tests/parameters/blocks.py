"""Cases of blocks, which a CRF can mend."""

import numpy as np

from crfrnn.parameters.search import search
from data import corruption

SHAPES = ((30, 44), (36, 28), (30, 44), (41, 33))


def blocks(shapes=SHAPES, channels=1, seed=0):
    """Bright blocks of random place on noise, two labels, and probabilities with errors."""
    rng = np.random.default_rng(seed)
    truths = [np.zeros(shape, int) for shape in shapes]
    for truth in truths:
        corner = [rng.integers(4, size // 2) for size in truth.shape]
        truth[
            tuple(slice(c, c + size // 3) for c, size in zip(corner, truth.shape, strict=True))
        ] = 1
    images = [
        truth[..., None] * np.linspace(1, 2, channels)
        + rng.normal(0, 0.2, (*truth.shape, channels))
        for truth in truths
    ]
    probs = [
        corruption.blurred(truth, 2, blur=1.0, length=1.0, seed=index)
        for index, truth in enumerate(truths)
    ]
    return images, probs, truths


CASES = blocks()
FOUND = search(*CASES, trials=12, progress=False)
