"""The CRF of one picture, with what it was built of kept: sliders that move ask again and again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from crfrnn.filtering.normalized import NormalizedFilter
from crfrnn.meanfield.in_place import MeanField, pairwise_kernel
from crfrnn.meanfield.logits import logits_from_probabilities
from crfrnn.offline.kernels import image_kernels

# Which bandwidths a kernel is made of.
_THETAS = {"bilateral": ("theta_alpha", "theta_beta"), "spatial": ("theta_gamma",)}


class Plane:
    """A picture and its probabilities; `run` gives what `refine` would.

    Args:
        image: (H, W, K), finite.
        probs: (H, W, L).
        spacing: (2,), distance of neighbouring points, or None.
    """

    def __init__(self, image: np.ndarray, probs: np.ndarray, spacing: Any = None):
        self.image, self.probs, self.spacing = image, probs, spacing
        self._filters: dict[str, tuple[Any, NormalizedFilter]] = {}
        self._state: tuple[Any, int, MeanField] | None = None

    def run(self, parameters: Mapping[str, Any], num_iterations: int) -> np.ndarray:
        """Probabilities (H, W, L) after so many iterations, float32; not to be written to.

        Args:
            parameters: those of `refine` that a page has: the five, and normalization.
            num_iterations: 0 or more.
        """
        weights = {name: parameters[f"{name}_weight"] for name in _THETAS}
        used = [parameters[name] for thetas in _THETAS.values() for name in thetas]
        key = (*used, *weights.values(), parameters["normalization"])
        if self._state is None or self._state[0] != key or self._state[1] > num_iterations:
            labels = self.probs.shape[-1]
            kernels = [
                pairwise_kernel(self._filter(name, parameters), weight, "potts", labels)
                for name, weight in weights.items()
                if weight
            ]
            rows = logits_from_probabilities(self.probs.reshape(-1, labels))
            self._state = (key, 0, MeanField(kernels, np.ascontiguousarray(rows)))
        _, done, field = self._state
        self._state = None  # should a step fail, or Ctrl-C end it
        field.step(num_iterations - done)
        self._state = (key, num_iterations, field)
        return field.q.reshape(self.probs.shape)

    def _filter(self, name: str, parameters: Mapping[str, Any]) -> NormalizedFilter:
        key = [parameters[theta] for theta in (*_THETAS[name], "normalization")]
        if name not in self._filters or self._filters[name][0] != key:
            crf: dict[str, Any] = {f"{other}_weight": float(other == name) for other in _THETAS}
            crf |= {theta: parameters[theta] for names in _THETAS.values() for theta in names}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # the page shows what they say
                kernel = image_kernels(
                    self.image,
                    self.probs.shape[-1],
                    **crf,
                    compatibility="potts",
                    normalization=parameters["normalization"],
                    spacing=self.spacing,
                    coordinates=None,
                    mask=None,
                    method="lattice",
                    window=None,
                )[name]
            self._filters[name] = (key, kernel.filter)
        return self._filters[name][1]

    def thinned(self, times: int) -> Plane:
        """Every so many-th point along both axes, for what has to be quick."""
        spacing = np.broadcast_to(1.0 if self.spacing is None else self.spacing, 2)
        kept = np.s_[::times, ::times]
        return Plane(self.image[kept], self.probs[kept], tuple(times * spacing))


def seen_from(
    image: np.ndarray, point: tuple[int, int], parameters: Mapping[str, Any], spacing: Any = None
) -> dict[str, np.ndarray]:
    """The weights (H, W) of both kernels between a point and all others, 0..1, by name.

    Args:
        image: (H, W, K).
        point: its row and column.
        parameters: with the three bandwidths.
        spacing: (2,), or None.
    """
    steps = np.broadcast_to(1.0 if spacing is None else spacing, 2)
    sides = zip(image.shape[:2], point, steps, strict=True)
    rows, columns = ((np.arange(size) - at) * step for size, at, step in sides)
    square = np.square(rows)[:, None] + np.square(columns)
    tone = np.square(image.astype(np.float64) - image[point]).sum(-1)
    alpha, beta, gamma = (parameters[f"theta_{name}"] for name in ("alpha", "beta", "gamma"))
    return {
        "bilateral": np.exp(-0.5 * (square / alpha**2 + tone / beta**2)),
        "spatial": np.exp(-0.5 * square / gamma**2),
    }
