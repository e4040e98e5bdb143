"""Made-up probability maps of real images: what the formulas of first_guess rest on.

Five data sets below $CRFRNN_DATA (data/README.md), three kinds of probability maps with errors:

- blurred: the truth out of focus with smooth noise on its logits (data.corruption.blurred);
- coarse: the truth as a network with an output stride of 4 sees it (data.corruption.coarse);
- classifier: a real classifier's opinion, made of pixel features alone, so that its errors depend
  on the image as a network's do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage, optimize
from scipy.special import log_softmax, softmax

import data
from crfrnn.parameters import measures
from crfrnn.parameters.cases import Cases
from data import corruption
from experiments.unaries import spread

SETS = ("hippocampus", "wbc1", "nuclei_stain", "vnc_em", "hc18")
KINDS = ("blurred", "coarse", "classifier")
# Large images are cropped: time.
WINDOW = {"vnc_em": (224, 224), "hc18": (224, 288), "nuclei_stain": (200, 240)}
COUNTS = {"train": 3, "val": 5, "test": 10}


class Maps(NamedTuple):
    """Cases of one data set and probability maps of one kind for them."""

    cases: Sequence[data.Case]
    probs: Sequence[np.ndarray]

    def statistics(self) -> list[measures.Statistics]:
        pairs = zip(self.cases, self.probs, strict=True)
        return [measures.statistics(case.image, probs) for case, probs in pairs]

    def scorer(self, **options: Any) -> Cases:
        return Cases(
            [case.image for case in self.cases],
            self.probs,
            [case.label for case in self.cases],
            spacing=[case.spacing for case in self.cases],
            **options,
        )


@functools.cache
def load(name: str, part: str) -> list[data.Case]:
    """Cases of a split, spread over it; "classifier" are others of the training split."""
    pool = data.split(data.load(name))["train" if part == "classifier" else part]
    cases = spread(pool, COUNTS.get(part, 8))
    if part == "classifier":
        fitted = {case.id for case in spread(pool, COUNTS["train"])}
        others = [case for case in pool if case.id not in fitted]
        cases = others[:: max(1, len(others) // 8)][:8]
    return [data.crop(case, WINDOW[name]) for case in cases] if name in WINDOW else cases


@functools.cache
def maps(name: str, part: str, kind: str) -> Maps:
    """Cases with probability maps of one kind."""
    cases, labels = load(name, part), len(data.labels(name))
    volume = cases[0].label.ndim == 3
    if kind == "blurred":
        # Structures of the volumes are about 10 points thick.
        options = dict(blur=1.0, length=1.5) if volume else {}
        make = functools.partial(corruption.blurred, **options)
        probs = [make(case.label, labels, seed=i) for i, case in enumerate(cases)]
    elif kind == "coarse":
        stride = 2 if volume else 4
        probs = [
            corruption.coarse(case.label, labels, stride=stride, seed=i)
            for i, case in enumerate(cases)
        ]
    else:
        predict = classifier(name)
        probs = [predict(case.image) for case in cases]
    return Maps(cases, probs)


@functools.cache
def classifier(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """A softmax regression on random combinations of each point's surroundings.

    Returns:
        A function of an image (*S, K) to probabilities (*S, L).
    """
    rng = np.random.default_rng(0)
    cases, labels = load(name, "classifier"), len(data.labels(name))
    features = [_features(case.image) for case in cases]
    chosen = [rng.choice(len(f), min(len(f), 6000), replace=False) for f in features]
    x = np.concatenate([f[c] for f, c in zip(features, chosen, strict=True)])
    y = np.concatenate([c.label.ravel()[k] for c, k in zip(cases, chosen, strict=True)])
    mean, scale = x.mean(0), x.std(0) + 1e-6
    mixing = rng.standard_normal((x.shape[1], 256), "float32") / np.sqrt(x.shape[1])
    shift = rng.standard_normal(256, "float32")

    def hidden(x):
        x = (x - mean) / scale
        return np.concatenate([np.maximum(x @ mixing + shift, 0), x, np.ones((len(x), 1))], 1)

    h = hidden(x).astype("float64")
    truth = np.eye(labels)[y]

    def loss(flat):
        weights = flat.reshape(-1, labels)
        log_p = log_softmax(h @ weights, axis=1)
        slope = h.T @ (np.exp(log_p) - truth) / len(h) + 1e-3 * weights
        value = -np.sum(log_p * truth) / len(h) + 0.5e-3 * np.sum(weights**2)
        return value, slope.ravel()

    start = np.zeros(h.shape[1] * labels)
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    weights = found.x.reshape(-1, labels)

    def predict(image):
        probs = softmax(hidden(_features(image)) @ weights, axis=1)
        return probs.reshape(*image.shape[:-1], labels).astype("float32")

    return predict


def _features(image: np.ndarray) -> np.ndarray:
    """(N, features): smoothed intensities and gradients at four scales, and where the point is."""
    columns = []
    for channel in np.moveaxis(image, -1, 0):
        for scale in (0.7, 1.5, 3.0, 6.0):
            columns.append(ndimage.gaussian_filter(channel, scale))
            columns.append(ndimage.gaussian_gradient_magnitude(channel, scale))
    axes = [np.linspace(-1, 1, size, dtype="float32") for size in image.shape[:-1]]
    columns += np.meshgrid(*axes, indexing="ij")
    return np.stack([column.ravel() for column in columns], axis=1)
