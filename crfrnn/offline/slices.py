"""A volume as slices, for a CRF that works on each by itself."""

from __future__ import annotations

import numpy as np


def cut(
    image: np.ndarray, probs: np.ndarray, spacing: tuple[float, ...] | None, axis: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], tuple[float, ...] | None]:
    """The slices across one axis, and the spacing within them.

    Args:
        image: (*S, K). probs: (*S, L).
        spacing: (S,), or None.
        axis: one of S.

    Returns:
        image and probs of every slice, and the spacing without that of the axis.

    Raises:
        ValueError: no such axis.

    Example:

    >>> slices, spacing = cut(np.ones((4, 5, 6, 1)), np.ones((4, 5, 6, 2)), (3.0, 1.0, 0.5), 1)
    >>> len(slices), slices[0][1].shape, spacing
    (5, (4, 6, 2), (3.0, 0.5))
    """
    if not 0 <= axis < image.ndim - 1:
        raise ValueError(
            f"Expected `slice_axis` to be one of the {image.ndim - 1} axes of the grid. "
            f"Received {axis}."
        )
    moved = (np.moveaxis(array, axis, 0) for array in (image, probs))
    rest = None if spacing is None else (*spacing[:axis], *spacing[axis + 1 :])
    return list(zip(*moved, strict=True)), rest
