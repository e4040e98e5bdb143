"""Segmentation metrics per case, in percent and millimetres, and the published table's own.

Masks are boolean arrays (*S) of any number of axes; label maps are integer arrays (*S) where 0 is
background. ``spacing_mm`` holds the distance between neighbouring points, one number per axis, in
millimetres; where a picture has no physical size it is 1 everywhere and "mm" reads "pixels".

Empty masks. A label that neither the truth nor the prediction contains has nothing to measure:
NaN, which every mean here leaves out. A label that only one of them contains is missed or invented
altogether: overlap 0, and as distance the diagonal of the image, the largest there is. (Infinity
would be purer, but one such case would hide all others in a mean.)

Overlaps are those of `crfrnn.scores`, which searches maximise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from crfrnn.scores import boundary_dice, dice, iou, nanmean

METRICS = (
    "dice",
    "iou",
    "pixel_accuracy",
    "hd95",
    "boundary_dice",
    "published_iu",
    "published_dsc",
    "published_pa",
)


def pixel_accuracy(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Share of points with the right label, background included.

    Args:
        truth, prediction: label maps (*S) of one shape.

    Returns:
        Percent, 0..100.

    Example:
        >>> pixel_accuracy(np.array([0, 1, 2, 0]), np.array([0, 1, 1, 0]))
        75.0
    """
    return float(100 * np.sum(truth == prediction) / truth.size)


def hd95(truth: np.ndarray, prediction: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """95th percentile of the Hausdorff distance between the surfaces of two masks.

    The surface of a mask is its points with a face neighbour outside the mask or outside the
    image. Of the distances from each surface point to the other mask's surface, the 95th
    percentile is taken in each direction and the larger of the two returned (MONAI's and
    DeepMind's definition; MedPy pools both directions and so reports less).

    Args:
        truth, prediction: boolean masks (*S) of one shape.
        spacing_mm: one number per axis.

    Returns:
        Millimetres; NaN if both masks are empty; the diagonal of the image if one is.

    Example:
        >>> hd95(np.array([True, False, False]), np.array([False, False, True]), (2.0,))
        4.0
    """
    if not truth.any() and not prediction.any():
        return float("nan")
    if not truth.any() or not prediction.any():
        return float(np.linalg.norm(np.multiply(truth.shape, spacing_mm)))
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (truth, prediction)]
    to_truth, to_prediction = (_distance_to(surface, spacing_mm) for surface in surfaces)
    return float(
        max(
            np.percentile(to_prediction[surfaces[0]], 95),
            np.percentile(to_truth[surfaces[1]], 95),
        )
    )


def published(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """IU, DSC and PA as the authors of the published hippocampus table computed them.

    From the evaluation code of github.com/EsmeYi/UNet-CRF-RNN (``utils.py``), which differs from
    the usual definitions: means over *slices*, not cases; IU and DSC average background and
    foreground, and a class absent from the truth or the prediction of a slice scores 0 there, so
    an empty slice found empty scores at most 50; DSC adds 1 to numerator and denominator; "PA" is
    the share of foreground that was found (0 where there is none), not an accuracy. Use it to
    compare with that table and for nothing else.

    Args:
        truth, prediction: label maps (D, H, W); all labels > 0 count as one foreground.

    Returns:
        ``published_iu``, ``published_dsc``, ``published_pa`` in percent, means over the D slices.

    Example:
        >>> slice_ = np.array([[[0, 1], [0, 1]]])
        >>> published(slice_, slice_)
        {'published_iu': 100.0, 'published_dsc': 100.0, 'published_pa': 100.0}
    """
    scores = [_published_slice(t > 0, p > 0) for t, p in zip(truth, prediction, strict=True)]
    iu, dsc, pa = 100 * np.mean(scores, axis=0)
    return {"published_iu": float(iu), "published_dsc": float(dsc), "published_pa": float(pa)}


def case_metrics(
    truth: np.ndarray,
    prediction: np.ndarray,
    num_labels: int,
    spacing_mm: Sequence[float],
    width_mm: float,
    slice_axis: int = 0,
) -> dict[str, float]:
    """All metrics of one case, label-wise ones averaged over the foreground labels present.

    Args:
        truth, prediction: label maps (*S) of one shape, labels 0..num_labels-1; two axes are one
            slice, three are a volume measured as a whole.
        num_labels: L, background included.
        spacing_mm: one number per axis.
        width_mm: half width of the band of `crfrnn.scores.boundary_dice`.
        slice_axis: the axis along which the published metrics cut a volume into slices.

    Returns:
        One number per name in ``METRICS``, and ``dice_1`` ... ``dice_<L-1>`` per label.

    Raises:
        ValueError: if the two shapes differ.

    Example:
        >>> truth = np.array([[0, 0, 1], [0, 2, 1]])
        >>> case_metrics(truth, truth, 3, (1.0, 1.0), 2.0)["dice"]
        100.0
    """
    if truth.shape != prediction.shape:
        raise ValueError(
            "truth and prediction must have one shape. "
            f"Received: truth {truth.shape}, prediction {prediction.shape}"
        )
    masks = [(truth == label, prediction == label) for label in range(1, num_labels)]
    per_label = {
        "dice": [dice(t, p) for t, p in masks],
        "iou": [iou(t, p) for t, p in masks],
        "hd95": [hd95(t, p, spacing_mm) for t, p in masks],
        "boundary_dice": [boundary_dice(t, p, spacing_mm, width_mm) for t, p in masks],
    }
    as_slices = (
        (truth[None], prediction[None])  # (H, W) -> (1, H, W)
        if truth.ndim == 2
        else (np.moveaxis(truth, slice_axis, 0), np.moveaxis(prediction, slice_axis, 0))
    )
    return {
        **{name: nanmean(values) for name, values in per_label.items()},
        "pixel_accuracy": pixel_accuracy(truth, prediction),
        **published(*as_slices),
        **{f"dice_{label}": value for label, value in enumerate(per_label["dice"], start=1)},
    }


def _distance_to(mask: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    return ndimage.distance_transform_edt(~mask, sampling=spacing_mm)


def _published_slice(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, float, float]:
    iu = dsc = 0.0
    for t, p in ((~truth, ~prediction), (truth, prediction)):
        if t.any() and p.any():
            both = np.sum(t & p)
            iu += both / np.sum(t | p) / 2
            dsc += (2 * both + 1) / (np.sum(t) + np.sum(p) + 1) / 2
    recall = np.sum(truth & prediction) / np.sum(truth) if truth.any() else 0.0
    return iu, dsc, recall
