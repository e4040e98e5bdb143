"""What a CRF compares pixels by: the image, what a network says of it, or what a network sees."""

from __future__ import annotations

import math
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from experiments.train.inputs import FAR, Slices
from unet.embedding import last_features

COMPONENTS = 4
# Of the first component: that of intensities spread evenly over [0, 1], so that ranges of
# theta_beta mean for features about what they mean for images.
DEVIATION = 1 / math.sqrt(12)
SAMPLES = 100_000  # points that the components are found from: of many more, the same


class Projection(NamedTuple):
    """Features (..., C) to components (..., 4): ``features @ kernel + bias``."""

    kernel: np.ndarray  # (C, 4)
    bias: np.ndarray  # (4,)


def seeing(network: keras.Model) -> keras.Model:
    """A network with a second output: what its last convolution sees, (B, H, W, C)."""
    return keras.Model(network.input, [network.output, last_features(network)])


def projection(network: keras.Model, slices: Slices, batch_size: int, seed: int) -> Projection:
    """The principal components of what a network sees of some slices, padding left out.

    seed: of the points that are looked at.
    """
    seen = _seen(network, slices, batch_size)[slices.present]
    chosen = np.random.default_rng(seed).permutation(len(seen))[:SAMPLES]
    return principal(seen[chosen])


def principal(features: np.ndarray) -> Projection:
    """The first components of features (N, C), the first with the standard deviation `DEVIATION`.

    They keep their proportions: the noise of small ones is not blown up. Of fewer channels than
    components, the last ones are 0.

    Example:
        >>> points = np.random.default_rng(0).normal(size=(1000, 2)) * [1.0, 5.0] + 3.0
        >>> kernel, bias = principal(points)
        >>> (points @ kernel + bias).std(axis=0).round(2).tolist()
        [0.29, 0.06, 0.0, 0.0]
    """
    features = features.astype(np.float64)
    mean = features.mean(axis=0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(features - mean, rowvar=False, ddof=0)))
    kernel = np.zeros((features.shape[1], COMPONENTS))
    largest = vectors[:, ::-1][:, :COMPONENTS]
    kernel[:, : largest.shape[1]] = largest * (DEVIATION / max(math.sqrt(values[-1]), 1e-6))
    return Projection(kernel.astype("float32"), (-mean @ kernel).astype("float32"))


def components(
    network: keras.Model, slices: Slices, found: Projection, batch_size: int
) -> list[np.ndarray]:
    """What a CRF compares, (slices, *s, 4) per case."""
    return slices.per_case(_seen(network, slices, batch_size) @ found.kernel + found.bias)


def embedded(
    features: keras.KerasTensor,
    reference: keras.KerasTensor,
    found: Projection | None,
    learn: bool,
) -> keras.KerasTensor:
    """The components as a layer called "embedding", which may learn: (B, *S, 4).

    features: (B, *S, C); reference: (B, *S, K), `FAR` where padded, as is the result.
    """
    layer = keras.layers.Dense(COMPONENTS, trainable=learn, name="embedding")
    learned = layer(features)
    if found is not None:
        layer.set_weights([*found])
    return ops.where(ops.equal(reference[..., :1], FAR), FAR, learned)


def _seen(network: keras.Model, slices: Slices, batch_size: int) -> np.ndarray:
    """(B, *S, C), of slices at the sizes at which networks see them; 0 beyond."""
    model, seen = seeing(network), None
    for size, chosen in slices.alike():
        here = (chosen, *map(slice, size))
        found = model.predict(slices.images[here], batch_size=batch_size, verbose=0)[-1]
        if seen is None:
            seen = np.zeros((*slices.labels.shape, found.shape[-1]), found.dtype)
        seen[here] = found
    return seen
