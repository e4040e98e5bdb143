"""The CRF on the labels that are present, whose results are small: what `refine` stands on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from crfrnn.meanfield import absent
from crfrnn.meanfield.in_place import MeanField
from crfrnn.meanfield.logits import logits_from_probabilities
from crfrnn.offline.kernels import image_kernels
from crfrnn.offline.upsampling import upsample


class Present(NamedTuple):
    """Refined probabilities of the labels that are present.

    probs: (N, K) float32, of the points that take part; rows sum to 1.
    start: (N, K) float32 logits that the iteration started from.
    labels: (K,) the number of each of the K labels, ascending.
    """

    probs: np.ndarray
    start: np.ndarray
    labels: np.ndarray


def refine_present(
    image: np.ndarray,
    probs: np.ndarray,
    *,
    num_iterations: int,
    ignore_below: float,
    mask: np.ndarray | None,
    **crf: Any,
) -> Present:
    """Refines the labels that are present, and forgets the others.

    Args:
        image: (*S, K).
        probs: (*S, L), or (*s, L) of fewer points, which are upsampled: only the labels present.
        num_iterations, ignore_below, mask, crf: all arguments of `refine`, checked.
    """
    num_labels, grid = probs.shape[-1], image.shape[:-1]
    kernels = list(image_kernels(image, num_labels, mask=mask, **crf).values())
    labels = np.arange(num_labels)
    if ignore_below and kernels:
        rows = (
            probs.reshape(-1, num_labels)
            if mask is None or probs.shape[:-1] != grid
            else probs[mask]
        )
        labels = absent.present(rows.max(0, initial=0), absent.reach(kernels), ignore_below)
    if len(labels) < num_labels:
        kernels = absent.of_labels(kernels, labels)
        probs = probs[..., labels]
    if probs.shape[:-1] != grid:
        probs = upsample(probs, grid)
    rows = probs.reshape(-1, len(labels)) if mask is None else probs[mask]
    crf_of_image = MeanField(kernels, np.ascontiguousarray(logits_from_probabilities(rows)))
    crf_of_image.step(num_iterations)
    return Present(crf_of_image.q, crf_of_image.unary, labels)
