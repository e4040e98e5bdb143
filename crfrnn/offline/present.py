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
    """Probabilities of the K labels that are present, before and after.

    probs: (*S, K) float32; points that take no part have those of before.
    before: (*S, K), at the size of the image.
    labels: (K,) the number of each label, ascending.
    """

    probs: np.ndarray
    before: np.ndarray
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
        probs: (*S, L), or (*s, L) of fewer points: the labels present are upsampled.
        num_iterations, ignore_below, mask, crf: all arguments of `refine`, checked.
    """
    num_labels, grid = probs.shape[-1], image.shape[:-1]
    small = probs.shape[:-1] != grid
    kernels = list(image_kernels(image, num_labels, mask=mask, **crf).values())
    labels = np.arange(num_labels)
    if bound := absent.bound(kernels, ignore_below):
        # Upsampled probabilities are means of these, and none is larger.
        rows = probs.reshape(-1, num_labels) if mask is None or small else probs[mask]
        kernels, labels = absent.kept(kernels, bound, rows.max(0, initial=0))
    if len(labels) < num_labels:
        probs = probs[..., labels]
    if small:
        probs = upsample(probs, grid)
    rows = probs.reshape(-1, len(labels)) if mask is None else probs[mask]
    state = MeanField(kernels, np.ascontiguousarray(logits_from_probabilities(rows)))
    state.step(num_iterations)
    if mask is None:
        return Present(state.q.reshape(probs.shape), probs, labels)
    refined = probs.astype(np.float32)
    refined[mask] = state.q
    return Present(refined, probs, labels)
