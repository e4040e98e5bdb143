"""What the notebooks draw with: pictures side by side, and label maps in colour over an image."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

COLOURS = np.array(plt.colormaps["Set1"].colors)  # label 0, the background, has none


def show(
    pictures: Mapping[str, np.ndarray],
    *,
    columns: int = 4,
    size: float = 3.0,
    limits: tuple[float, float] | None = None,
    cmap: str = "gray",
    bar: bool = False,
) -> np.ndarray:
    """Shows pictures side by side.

    Args:
        pictures: title to picture: (H, W), (H, W, 1) or (H, W, 3) in [0, 1] or uint8.
        columns: pictures in a row.
        size: width of a picture in inches.
        limits: what is black and what is white; default: each picture's own extremes.
        cmap: colours of pictures of one channel.
        bar: whether to show the scale of each.

    Returns:
        The axes, one per picture.
    """
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    height, width = np.shape(next(iter(pictures.values())))[:2]
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(size * columns, (size * height / width + 0.35) * rows),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.set_axis_off()
    low, high = limits or (None, None)
    for axis, (title, picture) in zip(axes.flat, pictures.items(), strict=False):
        drawn = axis.imshow(np.squeeze(picture), cmap=cmap, vmin=low, vmax=high)
        axis.set_title(title, fontsize=10)
        if bar:
            figure.colorbar(drawn, ax=axis, shrink=0.8)
    return axes.ravel()[: len(pictures)]


def paint(image: np.ndarray, labels: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Lays a label map in colour over an image.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3), in [0, 1] or uint8.
        labels: (H, W) integers; 0 stays clear.
        opacity: of the colours, 0..1.

    Returns:
        (H, W, 3) in [0, 1].
    """
    grey_or_colour = np.asarray(image).reshape(*labels.shape, -1)
    grey_or_colour = grey_or_colour / (255 if image.dtype == np.uint8 else 1)
    colours = COLOURS[(labels - 1) % len(COLOURS)]
    mixed = opacity * colours + (1 - opacity) * grey_or_colour
    return np.clip(np.where(labels[..., None] > 0, mixed, grey_or_colour), 0, 1)


def outline(axis: Axes, labels: np.ndarray, colour: str = "white") -> None:
    """Draws the boundaries of a label map (H, W) on a picture."""
    for label in np.unique(labels)[1:]:
        axis.contour(labels == label, [0.5], colors=colour, linewidths=0.8)
