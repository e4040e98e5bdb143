"""What a CRF in a network learns, and where that starts: for the layers of every framework."""

from __future__ import annotations

from typing import Any

import numpy as np

from crfrnn.checks import Choice, Flag, Reals
from crfrnn.meanfield.parameters import ITERATIONS, THETAS, declared

KERNEL_WEIGHTS = ("full", "per_label", "shared")

# The arguments of the layers.
LAYER = declared(
    *("compatibility", "normalization", "method", "native", "window", "spacing"),
    *("image_gradient", "damping"),
    num_iterations=ITERATIONS,
    num_test_iterations=ITERATIONS,
    bilateral_weight=Reals(),
    spatial_weight=Reals(),
    kernel_weights=Choice(KERNEL_WEIGHTS),
    trainable_thetas=Flag(),
    from_logits=Flag(),
)


def initial_weights(
    labels: int,
    *,
    theta_alpha: Any,
    theta_beta: Any,
    theta_gamma: Any,
    bilateral_weight: float,
    spatial_weight: float,
    kernel_weights: str,
    compatibility: Any,
    trainable_thetas: bool,
) -> dict[str, np.ndarray]:
    """The learned arrays of a CRF at the start, by name and in the order in which they are saved.

    Args:
        labels: L, at least 2.
        theta_alpha, ..., trainable_thetas: as in `crfrnn.CRFRNN`.

    Example:

    >>> start = initial_weights(
    ...     2, theta_alpha=9.0, theta_beta=0.1, theta_gamma=2.0, bilateral_weight=5.0,
    ...     spatial_weight=3.0, kernel_weights="per_label", compatibility="potts",
    ...     trainable_thetas=False,
    ... )
    >>> print(*start, start["spatial_weights"])
    spatial_weights bilateral_weights compatibility [3. 3.]
    """
    units = {"full": np.eye(labels), "per_label": np.ones(labels), "shared": np.ones(())}
    unit = units[kernel_weights]
    potts = isinstance(compatibility, str)
    start = {
        "spatial_weights": spatial_weight * unit,
        "bilateral_weights": bilateral_weight * unit,
        "compatibility": -np.eye(labels) if potts else np.array(compatibility, np.float64),
    }
    if trainable_thetas:
        for name, theta in zip(THETAS, (theta_alpha, theta_beta, theta_gamma), strict=True):
            start[f"log_{name}"] = np.log(theta)
    return start
