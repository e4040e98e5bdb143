"""Segmentation scores of masks and label maps, in percent: what searches maximise.

Masks are boolean arrays (*S) of any number of axes; label maps are integer arrays (*S), where 0 is
the background. `spacing` is the distance between neighbouring points, one number per axis, in any
unit of length; widths have the same unit.

Empty masks. A label that neither the truth nor the prediction contains has nothing to measure:
NaN, which every mean here leaves out. A label that only one of them contains is missed or invented
altogether: overlap 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

METRICS = ("dice", "iou", "boundary")  # of one case


def dice(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Dice similarity 2 |A and B| / (|A| + |B|) of two masks.

    Args:
        truth, prediction: boolean masks (*S) of one shape.

    Returns:
        Percent, 0..100; NaN if both masks are empty.

    Example:

    >>> dice(np.array([True, True, False]), np.array([True, False, False]))  # 2 * 1 / (2 + 1)
    66.66666666666667
    """
    return _percent(2 * np.sum(truth & prediction), np.sum(truth) + np.sum(prediction))


def iou(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Intersection over union |A and B| / |A or B| of two masks.

    Args:
        truth, prediction: boolean masks (*S) of one shape.

    Returns:
        Percent, 0..100; NaN if both masks are empty.

    Example:

    >>> iou(np.array([True, True, False]), np.array([True, False, False]))
    50.0
    """
    return _percent(np.sum(truth & prediction), np.sum(truth | prediction))


def boundary_dice(
    truth: np.ndarray, prediction: np.ndarray, spacing: Sequence[float], width: float = 2.0
) -> float:
    """Dice counted only near the true boundary, where a CRF can act; see `boundary_band`.

    Args:
        truth, prediction: boolean masks (*S) of one shape.
        spacing, width: of the band.

    Returns:
        Percent, 0..100; NaN if the truth is empty or fills the image: there is no boundary.

    Example:

    >>> boundary_dice(np.arange(6) < 3, np.arange(6) < 4, (1.0,), 1.0)  # band: points 2 and 3
    66.66666666666667
    """
    band = boundary_band(truth, spacing, width)
    return dice(truth[band], prediction[band]) if band.any() else float("nan")


def boundary_band(truth: np.ndarray, spacing: Sequence[float], width: float = 2.0) -> np.ndarray:
    """The points near the boundary of a mask.

    A point belongs to the band if the nearest point on the other side of the boundary is at most
    `width` away. The band depends on the truth alone, so predictions compete on equal points.

    Args:
        truth: boolean mask (*S).
        spacing: one number per axis.
        width: with a spacing of 1, a width of 1 is the two rows of points along the boundary, 2
            (default) the four rows.

    Returns:
        Boolean mask (*S); empty if the truth is empty or fills the image.

    Example:

    >>> boundary_band(np.arange(6) < 3, (1.0,), 1.0).astype(int)
    array([0, 0, 1, 1, 0, 0])
    """
    from scipy import ndimage  # the one function here that needs SciPy

    if not truth.any() or truth.all():
        return np.zeros_like(truth)
    # Points of the band lie within the width of the mask's bounding box, and the point outside
    # the mask that is nearest to one inside is no farther than the first frame around the box.
    (box,) = ndimage.find_objects(truth.astype(np.uint8))
    reach = [math.ceil(width / step) for step in spacing]
    near = tuple(slice(max(0, s.start - r), s.stop + r) for s, r in zip(box, reach, strict=True))
    # Each distance is zero on its own side, so the sum is the distance across the boundary.
    inward, outward = (
        ndimage.distance_transform_edt(side, sampling=spacing)
        for side in (truth[near], ~truth[near])
    )
    band = np.zeros(truth.shape, bool)
    band[near] = inward + outward <= width
    return band


def label_map_score(
    truth: np.ndarray,
    num_labels: int,
    metric: str = "dice",
    *,
    spacing: Sequence[float] | None = None,
    width: float = 2.0,
    known: np.ndarray | None = None,
) -> Callable[[np.ndarray], float]:
    """Makes a function that scores predictions of one truth, whose boundaries are found only once.

    Args:
        truth: label map (*S), labels 0..num_labels-1.
        num_labels: L, background included.
        metric: "dice", "iou" or "boundary" (`boundary_dice`).
        spacing: one number per axis; default 1.
        width: of the band of "boundary", in the unit of the spacing.
        known: boolean (*S), the points that count; None: all. The truth of the others is not read;
            where they meet the rest is no boundary.

    Returns:
        A function of a label map (*S) to percent: the mean over the foreground labels
        1..num_labels-1 that occur in truth or prediction; NaN if none does.

    Raises:
        ValueError: an unknown metric.

    Example:

    >>> score = label_map_score(np.array([0, 0, 1, 1, 2]), num_labels=4)
    >>> score(np.array([0, 1, 1, 1, 2]))  # label 1: 4 / 5, label 2: 1, label 3 does not occur
    90.0
    """
    if metric not in METRICS:
        raise ValueError(
            f"Expected `metric` to be one of {', '.join(map(repr, METRICS))}. "
            f"Received: metric={metric!r}."
        )
    spacing = (1.0,) * truth.ndim if spacing is None else spacing
    if known is not None and known.all():
        known = None
    if metric == "boundary":
        filled = truth if known is None else _continued(truth, known, spacing)
        masks = [filled == label for label in range(1, num_labels)]
        bands = [boundary_band(mask, spacing, width) for mask in masks]
        if known is not None:
            bands = [band & known for band in bands]

        def scores(prediction):
            return [
                dice(mask[band], prediction[band] == label) if band.any() else float("nan")
                for label, (mask, band) in enumerate(zip(masks, bands, strict=True), start=1)
            ]
    else:
        compare = {"dice": dice, "iou": iou}[metric]
        points = ... if known is None else known
        masks = [truth[points] == label for label in range(1, num_labels)]

        def scores(prediction):
            seen = prediction[points]
            return [compare(mask, seen == label) for label, mask in enumerate(masks, 1)]

    return lambda prediction: nanmean(scores(prediction))


def _continued(truth: np.ndarray, known: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """The truth, continued to the points that are not known from the nearest that are."""
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(
        ~known, sampling=spacing, return_distances=False, return_indices=True
    )
    return truth[tuple(nearest)]


def nanmean(values: Sequence[float] | np.ndarray) -> float:
    """Mean of the numbers that are not NaN; NaN, without a warning, if there is none.

    Example:

    >>> nanmean([1.0, float("nan"), 3.0])
    2.0
    """
    present = np.asarray(values, np.float64)
    present = present[~np.isnan(present)]
    return float(present.mean()) if present.size else float("nan")


def _percent(part: float, whole: float) -> float:
    return float(100 * part / whole) if whole else float("nan")
