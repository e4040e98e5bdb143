"""From an image and the five parameters to the kernels of a CRF over its points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn import arrays
from crfrnn.filtering.make_filter import build_filter
from crfrnn.meanfield.in_place import PairwiseKernel, pairwise_kernel
from crfrnn.meanfield.parameters import check_products
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions
from crfrnn.offline.inputs import warn_if_blind


def image_kernels(
    image: np.ndarray,
    num_labels: int,
    *,
    theta_alpha: Any,
    theta_beta: Any,
    theta_gamma: Any,
    bilateral_weight: Any,
    spatial_weight: Any,
    compatibility: Any,
    normalization: str,
    spacing: Any,
    coordinates: np.ndarray | None,
    mask: np.ndarray | None,
    method: str,
    window: Any,
    origin: Sequence[int] | None = None,
    norms: dict[str, np.ndarray] | None = None,
) -> dict[str, PairwiseKernel]:
    """The pairwise terms that are in use, by name: "bilateral", "spatial".

    Args:
        image: (*S, K).
        mask: (*S) of bool, or None: the points that take part, which are the N of the kernels.
        origin: of a part of a larger image; see `spatial_positions`.
        norms: by name (*S) float32, K 1 of each kernel in that larger image; None: those of the
            part by itself.

    The other arguments: see `refine`. Warns where theta_beta is out of proportion, but not of a
    part, which may be of one colour.
    """
    check_products(bilateral_weight, spatial_weight, compatibility)
    grid = image.shape[:-1]
    # The bilateral lattice is the larger one and needs the most memory while it is built: first.
    positions = {
        "bilateral": lambda: bilateral_positions(
            image[None], theta_alpha, theta_beta, spacing, coordinates=coordinates, origin=origin
        ),
        "spatial": lambda: spatial_positions(
            grid, theta_gamma, spacing, arrays, coordinates=coordinates, origin=origin
        ),
    }
    weights = {"bilateral": bilateral_weight, "spatial": spatial_weight}

    def kernel(name: str) -> PairwiseKernel:
        points = positions[name]()
        norm = None if norms is None else norms[name].reshape(1, -1, 1)
        if mask is not None:
            points = points[:, mask.ravel()]
            norm = None if norm is None else norm[:, mask.ravel()]
        filter_ = build_filter(points, method, normalization, None, grid, window, norm=norm)
        return pairwise_kernel(filter_, weights[name], compatibility, num_labels)

    kernels = {name: kernel(name) for name, weight in weights.items() if np.any(weight)}
    if "bilateral" in kernels and origin is None:
        warn_if_blind(image, theta_beta, mask)
    return kernels
