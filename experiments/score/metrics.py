"""Segmentation metrics per case, in percent and millimetres, and the published table's own.

What all functions take: ``truth`` and ``prediction``, of one shape (*S) of any number of axes, are
boolean masks of one label, or, where it says so, integer label maps.
``spacing_mm`` holds the distance between neighbouring points, one number per axis, in millimetres;
where a picture has no physical size it is 1 everywhere and "mm" reads "pixels". Shares are percent.

Empty masks. A label that neither the truth nor the prediction contains has nothing to measure:
NaN, which every mean here leaves out. A label that only one of them contains is missed or invented
altogether: overlap 0, and as distance the diagonal of the image, the largest there is. (Infinity
would be purer, but one such case would hide all others in a mean.)

Overlaps are those of `crfrnn.parameters.scores`, which searches maximise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from crfrnn.offline import inputs
from crfrnn.parameters.scores import boundary_band, dice, iou, nanmean
from experiments.score.surfaces import assd, hd95, surface_dice, surface_distances

METRICS = (
    *("dice", "iou", "pixel_accuracy", "boundary_dice", "boundary_accuracy", "hd95", "assd"),
    *("surface_dice", "ece", "published_iu", "published_dsc", "published_pa"),
)

_CONFIDENCE_BINS = 15


def pixel_accuracy(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Share of points of label maps with the right label, background included; NaN without any.

    Example:
        >>> pixel_accuracy(np.array([0, 1, 2, 0]), np.array([0, 1, 1, 0]))
        75.0
    """
    return float(100 * np.sum(truth == prediction) / truth.size) if truth.size else float("nan")


def boundary_accuracy(
    truth: np.ndarray,
    prediction: np.ndarray,
    spacing_mm: Sequence[float],
    width_mm: float,
    known: np.ndarray | None = None,
) -> float:
    """Share of points with the right label near the true boundaries, where a CRF can act.

    Counts the points of label maps whose nearest point of another true label is at most
    ``width_mm`` away: the bands of `crfrnn.scores.boundary_band` of all labels together. Unlike
    boundary Dice it sees every label at once, background too. NaN if the truth has one label only.
    ``known``, (*S) of bool, says which points may count; None for all.

    Example:
        >>> truth, prediction = np.array([0, 0, 0, 1, 1, 2]), np.array([1, 0, 0, 1, 2, 2])
        >>> boundary_accuracy(truth, prediction, (1.0,), 1.0)  # points 2 to 5
        75.0
    """
    band = np.zeros(truth.shape, bool)
    # Every boundary has two sides, so the bands of all labels but one cover it.
    for label in np.unique(truth)[1:]:
        band |= boundary_band(truth == label, spacing_mm, width_mm)
    if known is not None:
        band &= known
    return 100 * nanmean(truth[band] == prediction[band])


def ece(truth: np.ndarray, probabilities: np.ndarray, known: np.ndarray | None = None) -> float:
    """Expected calibration error: how far confidence is from accuracy, in percent.

    The confidence of a point is the probability of its most likely label. Points are sorted into
    15 bins of confidence, (0, 1/15] to (14/15, 1]; the differences between the mean confidence and
    the share of right labels of each bin are averaged, weighted by the points in it. Guo et al.,
    "On Calibration of Modern Neural Networks", ICML 2017, eq. 3. Background counts: most points of
    most images are background, confident and right, so values of segmentations are small.

    Args:
        truth: label map (*S).
        probabilities: (*S, L), rows of sum 1; ValueError for anything else.
        known: (*S) of bool, the points that count; None for all. Without any, NaN.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]])
        >>> round(ece(np.array([0, 1, 1]), probabilities), 6)  # 2/3 |0.9 - 1/2| + 1/3 |0.8 - 1|
        33.333333
    """
    probabilities = inputs.probabilities(probabilities)
    if probabilities.shape[:-1] != truth.shape:
        raise ValueError(
            f"Expected probabilities (*S, L) of the points {truth.shape} of the truth. "
            f"Received shape {probabilities.shape}."
        )
    known = np.ones(truth.shape, bool) if known is None else known
    confidence = probabilities.max(axis=-1).astype(np.float64)[known]
    right = (probabilities.argmax(axis=-1) == truth)[known]
    inner_edges = np.arange(1, _CONFIDENCE_BINS) / _CONFIDENCE_BINS
    bins = np.digitize(confidence, inner_edges, right=True)
    # The number of points in a bin cancels: its weight times the difference of its means.
    excess = np.bincount(bins, weights=confidence - right)
    return float(100 * np.sum(np.abs(excess)) / known.sum()) if known.any() else float("nan")


def published(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """IU, DSC and PA as the authors of the published hippocampus table computed them.

    From the evaluation code of github.com/EsmeYi/UNet-CRF-RNN (``utils.py``), which differs from
    the usual definitions: means over *slices*, not cases; IU and DSC average background and
    foreground, and a class absent from the truth or the prediction of a slice scores 0 there, so
    an empty slice found empty scores at most 50; DSC adds 1 to numerator and denominator; "PA" is
    the share of foreground that was found (0 where there is none), not an accuracy. Use it to
    compare with that table and for nothing else. Label maps are (D, H, W); all labels > 0 count as
    one foreground; means are over the D slices.

    Example:
        >>> slice_ = np.array([[[0, 1], [0, 1]]])
        >>> published(slice_, slice_)
        {'published_iu': 100.0, 'published_dsc': 100.0, 'published_pa': 100.0}
    """
    scores = [_published_slice(t > 0, p > 0) for t, p in zip(truth, prediction, strict=True)]
    names = ("published_iu", "published_dsc", "published_pa")
    return dict(zip(names, (100 * np.mean(scores, axis=0)).tolist(), strict=True))


def case_metrics(
    truth: np.ndarray,
    prediction: np.ndarray,
    num_labels: int,
    spacing_mm: Sequence[float],
    width_mm: float,
    slice_axis: int = 0,
    probabilities: np.ndarray | None = None,
    tolerance_mm: float = 1.0,
    ignore: int | None = None,
    background: int | None = 0,
) -> dict[str, float]:
    """All metrics of one case, label-wise ones averaged over the foreground labels present.

    Points without a true label are in no mask, whatever was predicted there, and count nowhere. For
    the bands along boundaries they belong to the nearest label: where labels are parted by a seam
    of such points, the boundary is the middle of it, and at an outer edge there is none.

    Args:
        truth, prediction: label maps, labels 0..num_labels-1; two axes are one slice, three are a
            volume measured as a whole. ValueError for different shapes.
        num_labels: L, background included.
        spacing_mm: one number per axis.
        width_mm: half width of the band of boundary Dice and boundary accuracy.
        slice_axis: the axis along which the published metrics cut a volume into slices.
        probabilities: (*S, L) behind the prediction, for ``ece``, which is NaN without.
        tolerance_mm: of surface Dice; 1 is the spacing of most images here.
        ignore: the value of points without a true label; None if all have one.
        background: 0, or None where label 0 is one like the others.

    Returns:
        One number per name in ``METRICS``, and per label ``dice_1`` ... ``dice_<L-1>``, with the
        points ``intersection_1`` ... and ``union_1`` ... that `pooled` adds over cases. Without
        background there is ``dice_0``, too, and nothing to compare with the published table.

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
    known = np.ones(truth.shape, bool) if ignore is None else truth != ignore
    labels = range(0 if background is None else 1, num_labels)
    masks = [(truth == label, (prediction == label) & known) for label in labels]
    outlined = _nearest_label(truth, known, spacing_mm)
    bands = [boundary_band(outlined == label, spacing_mm, width_mm) & known for label in labels]
    distances = [surface_distances(t, p, spacing_mm) for t, p in masks]
    per_label = {
        "dice": [dice(t, p) for t, p in masks],
        "iou": [iou(t, p) for t, p in masks],
        "hd95": [hd95(each) for each in distances],
        "assd": [assd(each) for each in distances],
        "surface_dice": [surface_dice(each, tolerance_mm) for each in distances],
        "boundary_dice": [
            dice(t[band], p[band]) if band.any() else float("nan")
            for (t, p), band in zip(masks, bands, strict=True)
        ],
    }
    # (H, W) -> (1, H, W); without label as background
    as_slices = (
        map_[None] if map_.ndim == 2 else np.moveaxis(map_, slice_axis, 0)
        for map_ in (np.where(known, map_, 0) for map_ in (truth, prediction))
    )
    accuracy = boundary_accuracy(outlined, prediction, spacing_mm, width_mm, known)
    each = list(zip(labels, masks, strict=True))
    return {
        **{name: nanmean(values) for name, values in per_label.items()},
        "pixel_accuracy": pixel_accuracy(truth[known], prediction[known]),
        "boundary_accuracy": accuracy,
        "ece": float("nan") if probabilities is None else ece(truth, probabilities, known),
        **({} if background is None else published(*as_slices)),
        **{f"dice_{label}": d for label, d in zip(labels, per_label["dice"], strict=True)},
        **{f"intersection_{k}": int(np.sum(t & p)) for k, (t, p) in each},
        **{f"union_{k}": int(np.sum(t | p)) for k, (t, p) in each},
    }


def _nearest_label(truth: np.ndarray, known: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """The label map with the nearest label where there is none."""
    if known.all() or not known.any():
        return truth
    nearest = ndimage.distance_transform_edt(
        ~known, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    return truth[tuple(nearest)]


def _published_slice(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, float, float]:
    iu = dsc = 0.0
    for t, p in ((~truth, ~prediction), (truth, prediction)):
        if t.any() and p.any():
            both = np.sum(t & p)
            iu += both / np.sum(t | p) / 2
            dsc += (2 * both + 1) / (np.sum(t) + np.sum(p) + 1) / 2
    recall = np.sum(truth & prediction) / np.sum(truth) if truth.any() else 0.0
    return iu, dsc, recall
