"""Label maps in colour: what every picture of a segmentation in this repository is painted with.

`palette` and `paint` make arrays; the other functions draw on a Matplotlib panel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

CHANGES = {"mended": "tab:green", "broken": "tab:red", "wrong either way": "gold"}
_WITHOUT_LABEL = (0, 0, 0, 1)
_GOLDEN = 0.618034  # of the circle of hues: each new hue falls into the largest gap


def palette(count: int, background: int | None = 0, ignore: int | None = None) -> np.ndarray:
    """Colours of the labels 0..count-1, no two alike; the first, background, is clear.

    Args:
        count: number of labels.
        background: None where label 0 is one like the others, and has a colour, too.
        ignore: the value, count or more, of points without a label: these are black.

    Returns:
        (count, 4), red, green, blue and opacity in 0..1; with `ignore`, (ignore + 1, 4).

    Example:
        >>> palette(3).shape, palette(3)[:, 3].tolist()
        ((3, 4), [0.0, 1.0, 1.0])
    """
    from matplotlib import colormaps, colors

    count = int(count)  # of a label map's own type, 0..255, it would not hold what is subtracted
    if background is None:
        return palette(count + 1, ignore=None if ignore is None else ignore + 1)[1:]
    known = colormaps["Set1"](range(9))[:, :3]
    steps = np.arange(max(count - 1 - len(known), 0))
    shades = np.stack([steps * _GOLDEN % 1, 1 - 0.4 * (steps % 2), 1 - 0.2 * (steps % 3)], -1)
    opaque = np.concatenate([known, colors.hsv_to_rgb(shades)])[: max(count - 1, 0)]
    colours = np.concatenate(
        [np.zeros((1, 4)), np.pad(opaque, ((0, 0), (0, 1)), constant_values=1)]
    )
    if ignore is None:
        return colours
    return np.concatenate([colours, np.tile(_WITHOUT_LABEL, (ignore + 1 - len(colours), 1))])


def paint(labels: np.ndarray, colours: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """A label map as a layer of colour, to be laid over an image.

    Args:
        labels: (H, W), or a mask.
        colours: (L, 4), as `palette` gives them.
        opacity: of all colours, 0..1.

    Returns:
        (H, W, 4), in 0..1.

    Example:
        >>> paint(np.array([[0, 1]]), palette(2), opacity=0.5)[..., 3].tolist()
        [[0.0, 0.5]]
    """
    painted = colours[np.asarray(labels).astype(int)]
    painted[..., 3] *= opacity
    return painted


def changes(before: np.ndarray, after: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Where a label map has changed, and whether to the better: masks, by the names in `CHANGES`.

    Args:
        before, after, truth: label maps of one shape.

    Example:
        >>> found = changes(np.array([0, 0, 1, 2]), np.array([1, 0, 0, 0]), np.array([1, 1, 1, 1]))
        >>> [mask.sum().item() for mask in found.values()]
        [1, 1, 1]
    """
    changed = before != after
    mended, broken = changed & (after == truth), changed & (before == truth)
    masks = (mended, broken, changed & ~mended & ~broken)
    return dict(zip(CHANGES, masks, strict=True))


def outline(panel: Any, labels: np.ndarray) -> None:
    """Draw the outlines of all labels but the background, in white."""
    for label in np.unique(labels[labels > 0]):
        border(panel, labels == label)


def border(
    panel: Any, mask: np.ndarray, corner: tuple[int, int] = (0, 0), width: float = 0.8
) -> None:
    """Draw the outline of a mask (H, W), if it has one, in white; corner: of the first point."""
    if mask.all() or not mask.any():
        return
    places = [np.arange(size) + first for size, first in zip(mask.shape, corner, strict=True)]
    for axis in (0, 1):
        if mask.shape[axis] == 1:  # a contour needs two lines of points: along the sides of the one
            mask, places[axis] = np.repeat(mask, 2, axis), places[axis] + np.array([-0.5, 0.5])
    panel.contour(places[1], places[0], mask, [0.5], colors="white", linewidths=width)


def mark(
    panel: Any, masks: Mapping[str, np.ndarray], colours: Mapping[str, str], **how: Any
) -> None:
    """Paint masks, and say below the panel what they are and how many points they have.

    Args:
        panel: of a Matplotlib figure.
        masks: (H, W) each, by name.
        colours: Matplotlib's, by name.
        how: options of `imshow`.
    """
    from matplotlib.colors import to_rgba

    for name, mask in masks.items():
        layer = paint(mask, np.array([(0, 0, 0, 0), to_rgba(colours[name])]), opacity=0.9)
        panel.imshow(layer, interpolation="nearest", **how)
    present = {f"{name} {mask.sum()}": colours[name] for name, mask in masks.items() if mask.any()}
    legend(panel, present)


def legend(panel: Any, colours: Mapping[str, Any]) -> None:
    """Say below a panel what colours mean: there it hides nothing. None: a word without colour."""
    from matplotlib.patches import Patch

    def patch(name: str, colour: Any) -> Any:
        edge, face = ("none", "none") if colour is None else ("gray", colour)
        return Patch(facecolor=face, edgecolor=edge, label=name)

    panel.legend(
        handles=[patch(*each) for each in colours.items()],
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=min(len(colours), 5) or 1,
        fontsize=6,
        frameon=False,
        handlelength=1,
        columnspacing=1,
    )
