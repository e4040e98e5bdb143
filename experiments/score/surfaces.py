"""How far the surfaces of two masks of one label are from each other, in millimetres.

Masks, spacing and empty masks are as in `experiments.score.metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from crfrnn.parameters.scores import nanmean


class SurfaceDistances(NamedTuple):
    """From every point of one mask's surface to the other mask's surface, in millimetres."""

    from_truth: np.ndarray
    from_prediction: np.ndarray


def surface_distances(
    truth: np.ndarray, prediction: np.ndarray, spacing_mm: Sequence[float]
) -> SurfaceDistances:
    """What `hd95`, `assd` and `surface_dice` of two masks are computed from.

    The surface of a mask is its points with a face neighbour outside the mask or outside the
    image, every point counted once: MONAI's definition. DeepMind's ``surface-distance`` puts
    surface elements between the points instead and weighs them by their area; for 80 hippocampus
    labels and predictions of one piece (mean Dice 92) that gives a mean ASSD of 0.13 instead of
    0.30 mm, surface Dice at 1 mm of 99.4 instead of 98.6 and HD95 of 1.00 instead of 1.03 mm.

    Returns:
        Distances (n,) and (m,) of n and m surface points. If one mask is empty, the points of the
        other are as far away as the diagonal of the image, and the empty one has no points.

    Example:
        >>> surface_distances(np.array([1, 0, 0]) > 0, np.array([0, 1, 1]) > 0, (2.0,))
        SurfaceDistances(from_truth=array([2.]), from_prediction=array([2., 4.]))
    """
    if not truth.any() and not prediction.any():
        return SurfaceDistances(np.empty(0), np.empty(0))
    diagonal = np.linalg.norm(np.multiply(truth.shape, spacing_mm))
    # No surface changes where the box is cut: what lies outside it is outside both masks.
    (box,) = ndimage.find_objects((truth | prediction).astype(np.uint8))
    surfaces = [mask[box] & ~ndimage.binary_erosion(mask[box]) for mask in (truth, prediction)]
    to_truth, to_prediction = (
        ndimage.distance_transform_edt(~surface, sampling=spacing_mm)
        if surface.any()
        else np.full(surface.shape, diagonal)
        for surface in surfaces
    )
    return SurfaceDistances(to_prediction[surfaces[0]], to_truth[surfaces[1]])


def hd95(distances: SurfaceDistances) -> float:
    """95th percentile of the Hausdorff distance, in millimetres.

    The percentile is taken in each direction and the larger of the two returned (MONAI's and
    DeepMind's definition; MedPy pools both directions and so reports less).

    Example:
        >>> truth, prediction = np.array([True, False, False]), np.array([False, False, True])
        >>> hd95(surface_distances(truth, prediction, (2.0,)))
        4.0
    """
    directed = [np.percentile(each, 95) for each in distances if each.size]
    return float(max(directed, default=float("nan")))


def assd(distances: SurfaceDistances) -> float:
    """Average symmetric surface distance, in millimetres: the mean over both masks' surface points.

    MONAI's and DeepMind's definition; MedPy averages the means of the two directions.

    Example:
        >>> assd(SurfaceDistances(np.array([2.0]), np.array([2.0, 5.0])))
        3.0
    """
    return nanmean(np.concatenate(distances))


def surface_dice(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Normalised surface Dice: share of both surfaces that is at most a tolerance from the other.

    Nikolov et al., arXiv:1809.04430, on surface points (as in MONAI and arXiv:2111.05408). The
    tolerance, in millimetres, is smaller than the image.

    Example:
        >>> surface_dice(SurfaceDistances(np.array([1.0]), np.array([1.0, 0.0, 5.0])), 1.0)
        75.0
    """
    return 100 * nanmean(np.concatenate(distances) <= tolerance_mm)
