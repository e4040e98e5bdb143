"""What the CRF starts from: probabilities of labels, out of what a user has."""

from __future__ import annotations

import numpy as np

from crfrnn import arrays, checks
from crfrnn.checks import Reals, Whole
from crfrnn.offline.inputs import label_map


def probs_from_logits(logits: np.ndarray) -> np.ndarray:
    """Probabilities from a network's logits.

    Args:
        logits: (*S, L), any real dtype. L = 1 is one sigmoid channel, that of a foreground.

    Returns:
        (*S, L) float32: their softmax; for L = 1 (*S, 2), the probabilities of background and
        foreground.

    Raises:
        ValueError: logits that are no numbers or NaN.

    Example:

    >>> probs_from_logits(np.array([[0.0], [2.0]])).round(2)
    array([[0.5 , 0.5 ],
           [0.12, 0.88]], dtype=float32)
    """
    logits = checks.array("logits", logits).astype(np.float32)
    if logits.ndim < 2 or logits.shape[-1] == 0:
        raise ValueError(
            f"Expected logits of shape (*S, L), L >= 1. Received shape {logits.shape}. "
            "Add the missing axis of a single channel: logits[..., None]."
        )
    checks.no_nan("logits", logits)
    if logits.shape[-1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=-1)
    largest = np.finfo(np.float32).max / 4  # infinite logits would become NaN
    return arrays.softmax(np.clip(logits, -largest, largest))


@checks.door(num_labels=Whole(2), confidence=Reals(), unknown=Whole(None, optional=True))
def probs_from_labels(
    labels: np.ndarray,
    num_labels: int,
    *,
    confidence: float = 0.7,
    unknown: int | None = None,
) -> np.ndarray:
    """Probabilities from a hard labelling, e.g. noisy annotations or scribbles.

    Args:
        labels: (*S) integers 0 .. num_labels - 1, or `unknown`.
        num_labels: L >= 2.
        confidence: probability that a label is right, between 1 / L and 1; the rest is shared by
            the other labels.
        unknown: the value of points without a label: all labels are equally likely there.

    Returns:
        (*S, L) float32.

    Raises:
        ValueError: labels that are no integers of this range, or a confidence that would mean
            nothing or the opposite.

    Example:

    >>> probs_from_labels(np.array([0, 255, 1]), 2, confidence=0.9, unknown=255).round(2)
    array([[0.9, 0.1],
           [0.5, 0.5],
           [0.1, 0.9]], dtype=float32)
    """
    if not 1 / num_labels < confidence <= 1:
        raise ValueError(
            f"Expected `confidence` above 1 / {num_labels} (a guess) and up to 1. "
            f"Received {confidence}."
        )
    try:
        labels = label_map(labels, num_labels, ignore=unknown)
    except ValueError as error:
        raise ValueError(
            f"{error} Give more labels by `num_labels`, or name the value of unlabelled points by "
            "`unknown`."
        ) from None
    known = np.ones(labels.shape, bool) if unknown is None else labels != unknown
    others = (1 - confidence) / (num_labels - 1)
    table = np.full((num_labels + 1, num_labels), others, np.float32)
    np.fill_diagonal(table, confidence)
    table[num_labels] = 1 / num_labels
    return table[np.where(known, labels, num_labels).astype(np.intp)]
