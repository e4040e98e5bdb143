"""What of a diagnosis is shown: an image, or one slice of a volume."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crfrnn.diagnosis import edges
from crfrnn.diagnosis.record import Findings


class View(NamedTuple):
    """The slice that is shown: the image itself, or one slice of a volume.

    image: (H, W, K), for showing. before, after, truth: label maps (H, W). mask: (H, W) of bool,
        the points that count.
    place: index of the slice and its axis, or None.
    """

    image: np.ndarray
    before: np.ndarray
    after: np.ndarray
    truth: np.ndarray | None
    mask: np.ndarray
    place: tuple[int, int] | None
    aspect: float


def view_of(d: Findings, axis: int | None, index: int | None) -> View:
    """What of a diagnosis is shown; see `Diagnosis.plot`.

    Raises:
        ValueError: an image of one axis, or a slice that is not there.
    """
    before, after = d.before.argmax(-1), d.after.argmax(-1)
    image, mask = _for_show(d.image, d.mask), d.mask
    mask = np.ones(before.shape, bool) if mask is None else mask
    spacing = d.parameters.get("spacing")
    steps = np.broadcast_to(1.0 if spacing is None else spacing, before.ndim)
    if before.ndim == 2:
        return View(image, before, after, d.labels, mask, None, steps[0] / steps[1])
    if before.ndim != 3:
        raise ValueError(f"Expected an image (H, W) or (D, H, W). Received {before.shape}.")
    if axis is None:
        uneven = steps.max() > 1.01 * steps.min()
        axis = int(steps.argmax() if uneven else np.argmin(before.shape))
    if axis not in (0, 1, 2):
        raise ValueError(f"Expected `slice_axis` to be 0, 1 or 2. Received {axis}.")
    if index is None:
        others = tuple(a for a in range(3) if a != axis)
        counts = (before != after).sum(others)
        if not counts.any():
            counts = edges.boundary(before).sum(others)
        index = int(counts.argmax())
    if not 0 <= index < before.shape[axis]:
        raise ValueError(
            f"Expected `index` to be one of {before.shape[axis]} slices. Received {index}."
        )
    steps = np.delete(steps, axis)
    image, before, after, mask = (
        np.take(array, index, axis) for array in (image, before, after, mask)
    )
    truth = None if d.labels is None else np.take(d.labels, index, axis)
    return View(image, before, after, truth, mask, (axis, index), steps[0] / steps[1])


def _for_show(image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """(*S, 3) colours, or (*S, 1) grey values of the first channel, in [0, 1].

    mask: (*S) of bool, the points that set black and white; None: all.
    """
    image = image if image.shape[-1] == 3 else image[..., :1]
    low, high = np.percentile(image if mask is None else image[mask], (0.5, 99.5))
    return np.clip((image.astype(np.float64) - low) / max(high - low, 1e-30), 0, 1)
