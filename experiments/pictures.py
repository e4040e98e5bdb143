"""Pictures of test cases: image, truth, the rows' predictions, and what the CRF-RNN changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import data
from experiments import inputs, runs
from experiments.config import Config
from experiments.rows import Comparison

MENDED, BROKEN, OTHER = "tab:green", "tab:red", "gold"
MARGIN = 8  # points around the structures


def draw(config: Config, comparison: Comparison, results: dict[str, Any], folder: Path) -> None:
    """Write ``pictures/<rank>-<case>.png`` for some test cases of seed 0.

    The cases are spread evenly over the change of Dice from one row to another (from U-Net to
    U-Net + CRF-RNN; of listed models, the first that can be compared), best first, worst last: the
    losses are shown with the wins. Of a volume, the slice with most changed points.

    Args:
        config: data set, number of pictures, slice axis.
        comparison: which rows are shown and which change of Dice ranks them.
        results: as in ``results.json``.
        folder: of the run, with the label maps of seed 0.
    """
    # The test cases do not depend on the seed.
    cases = inputs.split(config, seed=0)["test"]
    rows, pictured, change = comparison.rows, comparison.pictured, comparison.change
    after, before = change or (pictured[0], pictured[0])
    scores = {row: [case["dice"] for case in results["seeds"][0][row]["cases"]] for row in pictured}
    maps = {row: runs.read_arrays(folder / "seed-0" / f"{row}.npz") for row in pictured}
    gain = np.nan_to_num(np.subtract(scores[after], scores[before]))
    ranking = np.argsort(-gain, kind="stable")
    picked = np.unique(np.linspace(0, len(cases) - 1, min(config.pictures, len(cases))).round())
    for rank in picked.astype(int):
        index = ranking[rank]
        case = cases[index]
        predictions = {row: maps[row][f"{index:05d}"] for row in pictured}
        titles = {row: f"{rows[row].title}\nDice {scores[row][index]:.1f}" for row in pictured}
        names = rows[before].title, rows[after].title
        image, truth, shown = _slice(case, predictions, config.slice_axis, after, before)
        figure, last = _figure(image, truth, shown, titles, changes=change is not None)
        rest = f"rank {rank + 1} of {len(cases)}"
        if change:
            window = _window(np.any([truth, *shown.values()], axis=0))
            _changes(last, truth[window], shown[before][window], shown[after][window])
            last.set_title(f"what changed: {' → '.join(names)}", fontsize=9)
            rest = f"{gain[index]:+.2f} Dice by {names[1]}, {rest}"
        figure.suptitle(f"{case.id}: {rest}", fontsize=10)
        name = f"{rank + 1:03d}-{case.id.replace('/', '_')}.png"
        runs.write(folder / "pictures" / name, lambda file, f=figure: f.savefig(file, dpi=150))


def _figure(
    image: np.ndarray,
    truth: np.ndarray,
    shown: dict[str, np.ndarray],
    titles: dict[str, str],
    changes: bool,
) -> tuple[Figure, Any]:
    """Image, truth and predictions side by side; the last panel is left for the changes, if any."""
    num_labels = max(map_.max() for map_ in (truth, *shown.values())) + 1
    window = _window(np.any([truth, *shown.values()], axis=0))
    number = 2 + len(shown) + changes
    figure = Figure(figsize=(2.5 * number, 3.3), layout="constrained")
    panels = figure.subplots(1, number)
    grey = image[..., 0] if image.shape[-1] != 3 else image
    for panel in panels:
        panel.imshow(grey[window], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        panel.set_axis_off()
    panels[0].set_title("image", fontsize=9)
    for panel, map_, title in zip(
        panels[1:], (truth, *shown.values()), ("ground truth", *titles.values()), strict=False
    ):
        colours = matplotlib.colormaps["Set1"](np.arange(9))
        panel.imshow(_paint(map_[window], colours[: max(num_labels - 1, 1)]))
        panel.set_title(title, fontsize=9)
        for label in range(1, num_labels):
            if (truth[window] == label).any():
                panel.contour(truth[window] == label, [0.5], colors="white", linewidths=0.8)
    return figure, panels[-1]


def _changes(panel: Any, truth: np.ndarray, before: np.ndarray, after: np.ndarray) -> None:
    changed = before != after
    kinds = {
        MENDED: changed & (after == truth),
        BROKEN: changed & (before == truth),
        OTHER: changed & (before != truth) & (after != truth),
    }
    for colour, where in kinds.items():
        panel.imshow(_paint(where, np.array([matplotlib.colors.to_rgba(colour)]), opacity=0.9))
    names = ("mended", "broken", "wrong either way")
    handles = [
        Patch(color=colour, label=f"{name} {kinds[colour].sum()}")
        for colour, name in zip(kinds, names, strict=True)
    ]
    panel.legend(handles=handles, loc="lower left", fontsize=6, framealpha=0.7)


def _slice(
    case: data.Case, predictions: dict[str, np.ndarray], axis: int, after: str, before: str
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    if case.label.ndim == 2:
        return case.image, case.label, predictions
    changed = np.moveaxis(predictions[before] != predictions[after], axis, 0)
    index = int(np.argmax(changed.sum(axis=(1, 2))))
    return (
        np.take(case.image, index, axis),
        np.take(case.label, index, axis),
        {row: np.take(map_, index, axis) for row, map_ in predictions.items()},
    )


def _window(foreground: np.ndarray) -> tuple[slice, ...]:
    """The part of the slice worth looking at: all structures with a margin."""
    if not foreground.any():
        return tuple(slice(size) for size in foreground.shape)
    return tuple(
        slice(max(places.min() - MARGIN, 0), places.max() + MARGIN + 1)
        for places in np.nonzero(foreground)
    )


def _paint(labels: np.ndarray, colours: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Label map (h, w) to colours (h, w, 4), background transparent."""
    painted = np.concatenate([np.zeros((1, 4)), colours])[labels.astype(int)]
    painted[..., 3] *= opacity
    return painted
