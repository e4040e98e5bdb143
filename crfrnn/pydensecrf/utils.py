"""`pydensecrf.utils`: unary energies and features, as flat arrays (L, N) and (F, N)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np

from crfrnn.checks import Reals

_SUM_TOLERANCE = 0.1  # more than any interpolation leaves


def unary_from_labels(
    labels: Any, n_labels: int, gt_prob: float, zero_unsure: bool = True
) -> np.ndarray:
    """Unary energies of a labelling that is right with a given probability.

    Args:
        labels: integer array of any shape with N entries: 1..n_labels with `zero_unsure`, else
            0..n_labels-1.
        n_labels: number of labels L, the unsure one not counted.
        gt_prob: probability of the given label, between 0 and 1; the others share the rest.
        zero_unsure: label 0 means "any label": all are equally probable there.

    Returns:
        Negative log-probabilities (L, N) float32.

    Raises:
        ValueError: gt_prob or a label out of range.

    Example:

    >>> unary_from_labels(np.array([[1, 2, 0]]), n_labels=2, gt_prob=0.9).round(2)
    array([[0.11, 2.3 , 0.69],
           [2.3 , 0.11, 0.69]], dtype=float32)
    """
    if not 0 < gt_prob < 1:
        raise ValueError(f"Expected `gt_prob` between 0 and 1, exclusively. Received {gt_prob}.")
    labels = np.asarray(labels).ravel()
    first = 1 if zero_unsure else 0
    sure = labels != 0 if zero_unsure else np.ones(labels.shape, bool)
    if labels.dtype.kind not in "iu" or np.any(
        sure & ((labels < first) | (labels >= n_labels + first))
    ):
        raise ValueError(
            f"Expected integer labels {first}..{n_labels + first - 1}"
            f"{' and 0 for unsure' if zero_unsure else ''}, for n_labels={n_labels}. "
            f"Received {labels.dtype} labels {np.unique(labels)[:20]}. "
            "Check n_labels and zero_unsure."
        )
    # With one label there are no others to share the rest.
    others = -np.log((1.0 - gt_prob) / max(n_labels - 1, 1))
    unary = np.full((n_labels, labels.size), others, np.float32)
    (points,) = np.nonzero(sure)
    unary[labels[points] - first, points] = -np.log(gt_prob)
    unary[:, ~sure] = np.log(n_labels)
    return unary


def unary_from_softmax(sm: Any, scale: float | None = None, clip: float | None = 1e-5) -> Any:
    """Unary energies of probabilities.

    Args:
        sm: probabilities (L, *S), labels first.
        scale: how far the probabilities are to be trusted, in (0, 1]: they are mixed with the
            uniform ones, scale * sm + (1 - scale) / L. None trusts them fully.
        clip: least probability, so that its logarithm is finite; None does not clip.

    Returns:
        Negative log-probabilities (L, N) float32.

    Raises:
        ValueError: scale out of range.

    Warns:
        UserWarning: numbers that do not sum to 1 over the first axis, such as logits, or
            probabilities with the labels last.

    Example:

    >>> unary_from_softmax(np.array([[[1.0, 0.5]], [[0.0, 0.5]]])).round(2)  # (2, 1, 2)
    array([[-0.  ,  0.69],
           [11.51,  0.69]], dtype=float32)
    """
    sm = np.asarray(sm)
    if scale is not None and not 0 < scale <= 1:
        raise ValueError(f"Expected `scale` in (0, 1]. Received {scale}.")
    sums = sm.sum(0, dtype=float)
    if (far := np.abs(sums - 1) > _SUM_TOLERANCE).any():
        warnings.warn(
            "Expected probabilities (L, *S), labels first, that sum to 1 over the labels. Received "
            f"shape {sm.shape}, sums such as {sums[far][0]:.3g}; pydensecrf goes on silently. Take "
            "the softmax of logits; bring the labels first: sm.transpose((2, 0, 1)).",
            stacklevel=2,
        )
    if scale is not None:
        sm = scale * sm + (1 - scale) / len(sm)
    if clip is not None:
        sm = np.clip(sm, clip, 1.0)
    return -np.log(sm).reshape(len(sm), -1).astype(np.float32, order="C")


def create_pairwise_gaussian(sdims: Sequence[float], shape: Sequence[int]) -> np.ndarray:
    """Features of the points of a grid, for a kernel that sees where points are.

    Args:
        sdims: bandwidth of each axis, in points.
        shape: sizes of the grid.

    Returns:
        (S, N) float32, in the order of the axes. (`DenseCRF2D.addPairwiseGaussian` has x first; the
        lattice approximates slightly differently for another order.)

    Raises:
        ValueError: more bandwidths than axes, or one that is not positive.

    Warns:
        UserWarning: fewer bandwidths than axes; 1 is taken for the last ones.

    Example:

    >>> create_pairwise_gaussian(sdims=(1, 2), shape=(1, 3))
    array([[0. , 0. , 0. ],
           [0. , 0.5, 1. ]], dtype=float32)
    """
    return _divided("sdims", np.indices(shape, np.float32), sdims, "axis")


def create_pairwise_bilateral(
    sdims: Sequence[float], schan: float | Sequence[float], img: Any, chdim: int = -1
) -> np.ndarray:
    """Features of the points of an image, for a kernel that sees where they are and how they look.

    Args:
        sdims: bandwidth of each axis, in points.
        schan: bandwidth of each channel in the intensities of the image, or one for all.
        img: image of any dtype and any number of axes.
        chdim: its channel axis; -1 means that it has none.

    Returns:
        (S + K, N) float32: the axes in their order, then the channels.

    Raises:
        ValueError: more bandwidths than axes or channels, or one that is not positive.

    Warns:
        UserWarning: fewer bandwidths than axes or channels; 1 is taken for the last ones.

    Example:

    >>> create_pairwise_bilateral(sdims=(1, 2), schan=10, img=np.array([[30, 50, 90]]))
    array([[0. , 0. , 0. ],
           [0. , 0.5, 1. ],
           [3. , 5. , 9. ]], dtype=float32)
    """
    img = np.asarray(img)
    channels = (img[None] if chdim == -1 else np.moveaxis(img, chdim, 0)).astype(np.float32)
    sigmas: Any = [schan] * len(channels) if isinstance(schan, Number) else schan
    where = create_pairwise_gaussian(sdims, channels.shape[1:])
    return np.concatenate([where, _divided("schan", channels, sigmas, "channel")])


def compute_unary(labels: Any, M: int, GT_PROB: float = 0.5) -> np.ndarray:
    """The old name of `unary_from_labels`."""
    warnings.warn(
        "compute_unary is deprecated, use unary_from_labels instead.",
        DeprecationWarning,
        stacklevel=2,
    )
    return unary_from_labels(labels, M, GT_PROB)


def softmax_to_unary(sm: Any, GT_PROB: float = 1) -> np.ndarray:
    """The old name of `unary_from_softmax`, without clipping."""
    warnings.warn(
        "softmax_to_unary is deprecated, use unary_from_softmax instead.",
        DeprecationWarning,
        stacklevel=2,
    )
    return unary_from_softmax(sm, None if GT_PROB == 1 else GT_PROB, clip=None)


def _divided(name: str, features: np.ndarray, bandwidths: Sequence[float], per: str) -> np.ndarray:
    """features (F, *S) / bandwidths (F,), flat: (F, N)."""
    sigmas = np.asarray(bandwidths, np.float32)
    if sigmas.ndim != 1 or len(sigmas) > len(features):
        raise ValueError(
            f"Expected `{name}` to have one bandwidth per {per} ({len(features)}). "
            f"Received {name}={bandwidths!r}."
        )
    Reals(above=0, per="axis of the grid").check(name, sigmas, {})
    missing = len(features) - len(sigmas)
    if missing:
        warnings.warn(
            f"Expected `{name}` to have one bandwidth per {per} ({len(features)}). Received "
            f"{name}={bandwidths!r}; for the others 1 is taken, as pydensecrf does silently.",
            stacklevel=3,
        )
        sigmas = np.append(sigmas, np.ones(missing, np.float32))
    return features.reshape(len(features), -1) / sigmas[:, None]
