"""From an image and the five parameters to the kernels of a CRF over its points."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn import arrays
from crfrnn.filtering.make_filter import build_filter
from crfrnn.filtering.normalized import NormalizedFilter
from crfrnn.meanfield.in_place import PairwiseKernel, pairwise_kernel
from crfrnn.meanfield.parameters import check_products
from crfrnn.meanfield.positions import bilateral_positions, spatial_positions
from crfrnn.offline.inputs import warn_if_blind

# A spatial kernel of a grid is kept for the next image of the same size, since images come in
# series: 27 to 81 bytes per point (by axes and theta_gamma), so no more than 85 MB are held.
_MOST_POINTS_KEPT = 2**20


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

    def filtered(points: np.ndarray, name: str) -> NormalizedFilter:
        norm = None if norms is None else norms[name].reshape(1, -1, 1)
        if mask is not None:
            points = points[:, mask.ravel()]
            norm = None if norm is None else norm[:, mask.ravel()]
        return build_filter(points, method, normalization, None, grid, window, norm=norm)

    def bilateral() -> NormalizedFilter:
        points = bilateral_positions(
            image[None], theta_alpha, theta_beta, spacing, coordinates=coordinates, origin=origin
        )
        return filtered(points, "bilateral")

    def spatial() -> NormalizedFilter:
        whole = all(given is None for given in (mask, coordinates, origin, norms))
        if whole and method == "lattice" and 0 < math.prod(grid) <= _MOST_POINTS_KEPT:
            distances = 1.0 if spacing is None else spacing
            per_axis = (_per_axis(value, len(grid)) for value in (theta_gamma, distances))
            return spatial_of_grid(grid, *per_axis, normalization)
        points = spatial_positions(
            grid, theta_gamma, spacing, arrays, coordinates=coordinates, origin=origin
        )
        return filtered(points, "spatial")

    # The bilateral lattice is the larger one and needs the most memory while it is built: first.
    filters = {"bilateral": bilateral, "spatial": spatial}
    weights = {"bilateral": bilateral_weight, "spatial": spatial_weight}
    kernels = {
        name: pairwise_kernel(filters[name](), weight, compatibility, num_labels)
        for name, weight in weights.items()
        if np.any(weight)
    }
    if "bilateral" in kernels and origin is None:
        warn_if_blind(image, theta_beta, mask)
    return kernels


def _per_axis(value: Any, axes: int) -> tuple[float, ...]:
    """What `spatial_positions` makes of a number or one per axis, to be compared with others."""
    return tuple(np.broadcast_to(np.asarray(value, np.float32), axes).tolist())


@functools.lru_cache(maxsize=1)
def spatial_of_grid(
    grid: tuple[int, ...],
    theta_gamma: tuple[float, ...],
    spacing: tuple[float, ...],
    normalization: str,
) -> NormalizedFilter:
    """The spatial kernel of all points of a grid, the same one as the time before if it can be."""
    points = spatial_positions(grid, theta_gamma, spacing, arrays)
    return build_filter(points, normalization=normalization)
