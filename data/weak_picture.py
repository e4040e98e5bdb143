"""`python -m data.weak_picture docs/weak-labels.png`: the three kinds of weak labels, drawn."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from crfrnn.files import replacing

from .case import Case
from .synthetic import LABELS, phantom
from .weak import KINDS, VOID, shares, weaken

COLOURS = ("deepskyblue", "darkorange", "mediumvioletred", "lime")


def draw(case: Case, seed: int = 0) -> Figure:
    """Image, truth and each kind of weak label side by side; void shows the image.

    Args:
        case: of the phantom, image (H, W, 1), label (H, W).
        seed: of the weak labels.

    Returns:
        The figure; each title says how much is labelled, or right where all is labelled.

    Example:
        >>> len(draw(phantom(1, (30, 44))[0]).axes)
        5
    """
    figure = Figure(figsize=(13, 3.2), layout="constrained")
    maps = {kind: weaken(case, kind, seed).label for kind in KINDS}
    shown = {"image": np.full_like(case.label, VOID), "truth": case.label, **maps}
    for panel, (title, label) in zip(figure.subplots(1, len(shown)), shown.items(), strict=True):
        panel.imshow(case.image[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        labelled = (label != VOID).mean()
        # Strokes and dots cover little, so that they need not let the image through.
        panel.imshow(_paint(label, 0.55 if labelled == 1 else 1), interpolation="nearest")
        if title in KINDS:
            right = shares(case.label, label)[1]
            told = f"{right:.0%} right" if labelled == 1 else f"{labelled:.1%} of the pixels"
            title = f"{title}: {told}"
        panel.set_title(title, fontsize=11)
        panel.set_axis_off()
    handles = [Patch(color=c, label=name) for c, name in zip(COLOURS, LABELS, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(LABELS), frameon=False)
    return figure


def _paint(label: np.ndarray, opacity: float) -> np.ndarray:
    """Label map (H, W) to colours (H, W, 4), void transparent."""
    painted = np.zeros((*label.shape, 4))
    for value, colour in enumerate(COLOURS):
        painted[label == value] = to_rgba(colour, opacity)
    return painted


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with replacing(Path(sys.argv[1])) as path:
        draw(phantom(4)[3]).savefig(path, dpi=100)
