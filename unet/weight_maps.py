"""Weights per point for training, made once from label maps: NumPy in, NumPy out.

    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, sample_weight=np.stack([border_weights(one) for one in labels]))

Needs SciPy, and scikit-image for the edges.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

__all__ = ["border_weights", "class_weights", "edge_weights", "image_edge_weights"]


def edge_weights(
    labels: np.ndarray, *, weight: float = 5.0, sigma: float = 1.0, ignore_class: int | None = None
) -> np.ndarray:
    """Weigh the edges between labels more than the rest: the edge-aware loss's map.

    The edges are Canny's on the mask of each label, one pixel wide and next to where the label
    changes.

    Args:
        labels: ``(H, W)`` integers.
        weight: of a point on an edge; 1 everywhere else. The paper's is 5.
        sigma: deviation of Canny's Gaussian, in pixels.
        ignore_class: the label of points without label, which get weight 0 and make no edges.

    Returns:
        ``(H, W)`` float32: 1, ``weight`` or 0.

    Raises:
        ValueError: if the labels are no 2-D map.

    Reference:
        - [Edge-aware Fully Convolutional Network with CRF-RNN Layer for Hippocampus Segmentation](
          https://ieeexplore.ieee.org/document/8785801)

    Example:
        >>> labels = np.zeros((9, 9), int)
        >>> labels[3:7, 2:7] = 1
        >>> np.unique(edge_weights(labels))
        array([1., 5.], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.ndim != 2:
        raise ValueError(
            "Invalid labels. Expected one map (H, W); take the slices of a volume one by one. "
            f"Received: shape {labels.shape}"
        )
    valid = _valid(labels, ignore_class)
    edges = np.zeros(labels.shape, bool)
    for label in np.unique(labels[valid]):
        edges |= _canny((labels == label).astype("float64"), sigma, valid)
    return np.where(edges, weight, 1.0).astype("float32") * valid


def image_edge_weights(image: np.ndarray, *, weight: float = 5.0, sigma: float = 1.0) -> np.ndarray:
    """Weigh the edges of an image more than the rest; as :func:`edge_weights`, without labels.

    Args:
        image: ``(H, W)`` or ``(H, W, K)``; of K channels the mean counts. Gradients are measured in
            units of the image's range: below a tenth of it none is an edge.
        weight: of a point on an edge; 1 everywhere else.
        sigma: deviation of Canny's Gaussian, in pixels.

    Returns:
        ``(H, W)`` float32: 1 or ``weight``.

    Raises:
        ValueError: if the image has another rank.

    Example:
        >>> image = np.tile(np.linspace(0, 1, 8) > 0.5, (6, 1))
        >>> (image_edge_weights(image) == 5).any(axis=0)
        array([False, False, False, False,  True, False, False, False])
    """
    image = np.asarray(image, "float64")
    if image.ndim not in (2, 3):
        raise ValueError(
            f"Invalid image. Expected (H, W) or (H, W, K). Received: shape {image.shape}"
        )
    grey = image.mean(axis=-1) if image.ndim == 3 else image
    low, high = grey.min(), grey.max()
    grey = (grey - low) / (high - low) if high > low else np.zeros_like(grey)
    return np.where(_canny(grey, sigma, None), weight, 1.0).astype("float32")


def border_weights(
    labels: np.ndarray,
    *,
    cells: np.ndarray | None = None,
    balance: Sequence[float] | None = None,
    w0: float = 10.0,
    sigma: float = 5.0,
    spacing: Sequence[float] | None = None,
    ignore_class: int | None = None,
) -> np.ndarray:
    """Weigh the gaps between neighbouring cells, so that a network learns to keep them apart.

    ``w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))**2 / (2 sigma**2))``, where d1 and d2 are the
    distances from x to the nearest and to the second nearest cell. The second term stands in the
    background only: there are the gaps.

    Args:
        labels: ``(H, W)`` or ``(D, H, W)`` integers, 0 for background.
        cells: the same shape, 0 for background and one number per cell. By default each connected
            part of the foreground is a cell; parts that touch at a side are connected.
        balance: w_c, one number per label. By default :func:`class_weights` of this map; ones for
            no balance.
        w0: greatest weight of a gap.
        sigma: how wide a gap may be, in pixels or in the units of ``spacing``.
        spacing: distance between points along each axis; by default 1.
        ignore_class: the label of points without label: they get weight 0.

    Returns:
        Weights of the labels' shape, float32. The time is that of one distance transform per cell.

    Raises:
        ValueError: if labels and cells have different shapes, or a label has no ``balance``.

    Reference:
        - [U-Net](https://arxiv.org/abs/1505.04597), equation 2

    Example:
        >>> two = np.array([[1, 0, 0, 1]])  # each gap pixel is 1 and 2 pixels away
        >>> border_weights(two, balance=(1, 1)).round(2)  # 1 + 10 exp(-9 / 50)
        array([[1.  , 9.35, 9.35, 1.  ]], dtype=float32)
    """
    labels = np.asarray(labels)
    valid = _valid(labels, ignore_class)
    foreground = valid & (labels != 0)
    cells = ndimage.label(foreground)[0] if cells is None else np.asarray(cells)
    if cells.shape != labels.shape:
        raise ValueError(
            "Invalid cells. Expected the shape of the labels, "
            f"{labels.shape}. Received: shape {cells.shape}"
        )
    known = np.where(valid, labels, 0)
    if balance is None:
        weights = class_weights([labels], int(known.max()) + 1, ignore_class=ignore_class)
    else:
        weights = np.asarray(balance)
        _check_labels(known, len(weights))

    first = np.full(labels.shape, np.inf)
    second = np.full(labels.shape, np.inf)
    for cell in np.unique(cells[cells != 0]):
        distance = ndimage.distance_transform_edt(cells != cell, sampling=spacing)
        second = np.minimum(second, np.maximum(first, distance))
        first = np.minimum(first, distance)
    gaps = w0 * np.exp(-((first + second) ** 2) / (2 * sigma**2)) * (cells == 0)
    return ((weights[known] + gaps) * valid).astype("float32")


def class_weights(
    labels: Sequence[np.ndarray],
    num_labels: int,
    *,
    rule: str = "inverse",
    ignore_class: int | None = None,
) -> np.ndarray:
    """Weights that make up for unequal frequencies of the labels in a training set.

    ``class_weights(...)[label_map]`` is a map of weights.

    Args:
        labels: label maps, one per case, of any shapes.
        num_labels: number of labels L.
        rule: ``"inverse"``: each label that occurs has the same sum of weights, and the mean over
            all points is 1. ``"median_frequency"`` (SegNet): the median of the labels' frequencies
            over the label's own, which is its share of the points of the maps where it occurs.
        ignore_class: the label of points without label, which do not count.

    Returns:
        ``(L,)`` float64; 0 for a label that does not occur.

    Raises:
        ValueError: if the rule is unknown, or a label not in 0..L-1.

    Reference:
        - [SegNet](https://arxiv.org/abs/1511.00561), section 3.1 on median frequency balancing

    Example:
        >>> class_weights([np.array([0, 0, 0, 1])], 3)
        array([0.66666667, 2.        , 0.        ])
    """
    if rule not in ("inverse", "median_frequency"):
        raise ValueError(
            f'Invalid rule. Expected "inverse" or "median_frequency". Received: rule={rule!r}'
        )
    known = [np.asarray(one)[_valid(np.asarray(one), ignore_class)] for one in labels]
    for one in known:
        _check_labels(one, num_labels)
    counts = np.array([np.bincount(one, minlength=num_labels) for one in known])  # (cases, L)
    occurs = counts.sum(axis=0) > 0
    if rule == "inverse":
        points = np.full(num_labels, counts.sum() / max(occurs.sum(), 1))
    else:
        points = (counts.sum(axis=1, keepdims=True) * (counts > 0)).sum(axis=0)
    frequency = counts.sum(axis=0)[occurs] / points[occurs]
    weights = np.zeros(num_labels)
    weights[occurs] = (1.0 if rule == "inverse" else np.median(frequency)) / frequency
    return weights


def _canny(picture: np.ndarray, sigma: float, valid: np.ndarray | None) -> np.ndarray:
    from skimage import feature  # takes a second, and only the edges need it

    return feature.canny(picture, sigma, low_threshold=0.1, high_threshold=0.2, mask=valid)


def _check_labels(labels: np.ndarray, num_labels: int) -> None:
    if labels.size and not 0 <= labels.min() <= labels.max() < num_labels:
        raise ValueError(
            f"Invalid labels. Expected 0..{num_labels - 1}, and ignore_class for points without a "
            f"label. Received: {labels.min()}..{labels.max()}"
        )


def _valid(labels: np.ndarray, ignore_class: int | None) -> np.ndarray:
    return np.ones(labels.shape, bool) if ignore_class is None else labels != ignore_class
