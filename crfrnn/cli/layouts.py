"""In which order the axes of saved probabilities come, found from their shape and values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crfrnn.cli import advice
from crfrnn.cli.fitting import CHANNELS, Layout, candidates, sums_to_one

NAMES = ("auto", "last", "first", "nnunet", "foreground")


def find(
    shape: tuple[int, ...],
    grids: Sequence[tuple[int, ...]],
    name: str = "auto",
    *,
    is_nnunet: bool = False,
    is_nifti: bool = False,
    values: np.ndarray | None = None,
) -> Layout:
    """The layout of an array of probabilities; what shape and values leave open is refused.

    Labels come before one foreground, over all grids: an image (20, 30, 3) with an array
    (20, 30, 3) is a colour picture with three labels if the array's rows sum to 1.

    Args:
        shape: of the array.
        grids: possible shapes S of the image without channels: of an array (20, 30, 3) nobody
            knows whether its last axis is one of channels.
        name: one of `NAMES`; "auto" takes the one that fits.
        is_nnunet: the file looks like one of nnU-Net's, which decides between layouts that fit.
        is_nifti: the image is NIfTI, whose axes nnU-Net reverses.
        values: the array, if it holds probabilities; None: numbers that need not sum to 1.

    Raises:
        ValueError: nothing fits, or several do; the message says what to do.

    Example:

    >>> find((3, 40, 20, 30), [(30, 20, 40)], is_nnunet=True, is_nifti=True).name
    'reversed'
    >>> find((20, 30), [(20, 30)]).name
    'foreground'
    """
    if name not in NAMES:
        raise ValueError(f"Expected a layout of {', '.join(NAMES)}. Received {name!r}.")
    fitting = candidates(shape, grids, name, is_nnunet=is_nnunet, is_nifti=is_nifti)
    if not fitting:
        raise ValueError(advice.explain(shape, grids, name, is_nnunet, is_nifti, values))
    several = [layout for layout in fitting if layout.num_labels > 1]
    if several:
        summing = (
            []
            if values is None
            else [layout for layout in several if sums_to_one(layout.labels_last(values))]
        )
        # Where none sums to 1 there may still be one foreground that fits. An image of the same
        # shape has as many channels as there would be labels: by chance, where both are few.
        few = [layout for layout in fitting if layout.num_labels <= CHANNELS]
        fitting = summing or (few if values is not None else []) or fitting
        if len(fitting) > 1 and name == "auto" and not is_nnunet:
            raise ValueError(advice.ambiguous(shape, fitting))
    elif values is not None and _is_batch(values, grids):
        raise ValueError(advice.explain(shape, grids, name, is_nnunet, is_nifti, values))
    return fitting[0]


def _is_batch(values: np.ndarray, grids: Sequence[tuple[int, ...]]) -> bool:
    """Whether (1, H, W, L), which fits an image (H, W, L) as one foreground, holds L labels."""
    inner = candidates(values.shape[1:], grids) if values.shape[0] == 1 else []
    return any(
        layout.num_labels > 1 and sums_to_one(layout.labels_last(values[0])) for layout in inner
    )
