"""Pictures of test cases: image, truth, the rows' predictions, and what the CRF-RNN changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import data
from experiments import inputs, runs
from experiments.config import Config
from experiments.rows import Comparison

CHANGES = ("tab:green", "tab:red", "gold")  # mended, broken, wrong either way
ERRORS = ("tab:blue", "tab:red", "gold")  # missed, invented, wrong label
MARGIN = 8  # points around the structures


def draw(config: Config, comparison: Comparison, results: dict[str, Any], folder: Path) -> None:
    """Write ``pictures/<rank>-<case>.png`` for some test cases of seed 0, and ``cases.png``.

    The cases are spread evenly over the change of Dice from one row to another (from U-Net to
    U-Net + CRF-RNN; of listed models, the first that can be compared), best first, worst last: the
    losses are shown with the wins. Of a volume, the slice with most changed points. ``cases.png``
    has the errors of all pictured rows on the best, the median and the worst of them.

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

    def shown(rank: int) -> Shown:
        index = ranking[rank]
        predictions = {row: maps[row][f"{index:05d}"] for row in pictured}
        image, truth, cut = _slice(cases[index], predictions, config.slice_axis, after, before)
        titles = {row: f"{rows[row].title}\nDice {scores[row][index]:.1f}" for row in pictured}
        return Shown(cases[index].id, gain[index], image, truth, cut, titles)

    picked = np.unique(np.linspace(0, len(cases) - 1, min(config.pictures, len(cases))).round())
    for rank in picked.astype(int):
        one = shown(rank)
        figure, last = _figure(one, changes=change is not None)
        rest = f"rank {rank + 1} of {len(cases)}"
        if change:
            names = rows[before].title, rows[after].title
            window = _window(one)
            _changes(last, one.truth[window], *(one.maps[row][window] for row in (before, after)))
            last.set_title(f"what changed: {' → '.join(names)}", fontsize=9)
            rest = f"{one.gain:+.2f} Dice by {names[1]}, {rest}"
        figure.suptitle(f"{one.id}: {rest}", fontsize=10)
        name = f"{rank + 1:03d}-{one.id.replace('/', '_')}.png"
        _save(figure, folder / "pictures" / name)
    ends = {"best": 0, "median": len(cases) // 2, "worst": len(cases) - 1}
    _save(_errors({name: shown(rank) for name, rank in ends.items()}), folder / "cases.png")


class Shown(NamedTuple):
    """What pictures show of one case: one slice (h, w) of it."""

    id: str
    gain: float  # in Dice points
    image: np.ndarray  # (h, w, K)
    truth: np.ndarray
    maps: dict[str, np.ndarray]  # by row
    titles: dict[str, str]


def _save(figure: Figure, path: Path) -> None:
    runs.write(path, lambda file: figure.savefig(file, dpi=150))


def _errors(cases: dict[str, Shown]) -> Figure:
    """A line of panels per case: the image with the true outlines, and where each row is wrong."""
    columns = 1 + len(next(iter(cases.values())).maps)
    figure = Figure(figsize=(2.4 * columns, 2.6 * len(cases)), layout="constrained")
    for (name, case), panels in zip(
        cases.items(), figure.subplots(len(cases), columns, squeeze=False), strict=True
    ):
        window = _window(case)
        truth = case.truth[window]
        for panel in panels:
            _image(panel, case.image[window])
            _outline(panel, truth)
        panels[0].set_title(f"{name}: {case.id}\n{case.gain:+.2f} Dice", fontsize=8)
        for panel, row in zip(panels[1:], case.maps, strict=True):
            predicted = case.maps[row][window]
            missed = (truth > 0) & (predicted == 0)
            invented = (truth == 0) & (predicted > 0)
            confused = (truth != predicted) & ~missed & ~invented
            kinds = {"missed": missed, "invented": invented, "wrong label": confused}
            _mark(panel, kinds, ERRORS)
            panel.set_title(case.titles[row], fontsize=8)
    return figure


def _figure(case: Shown, changes: bool) -> tuple[Figure, Any]:
    """Image, truth and predictions side by side; the last panel is left for the changes, if any."""
    num_labels = max(map_.max() for map_ in (case.truth, *case.maps.values())) + 1
    window = _window(case)
    number = 2 + len(case.maps) + changes
    figure = Figure(figsize=(2.5 * number, 3.3), layout="constrained")
    panels = figure.subplots(1, number)
    for panel in panels:
        _image(panel, case.image[window])
    panels[0].set_title("image", fontsize=9)
    maps, titles = (case.truth, *case.maps.values()), ("ground truth", *case.titles.values())
    colours = matplotlib.colormaps["Set1"](np.arange(9))
    for panel, map_, title in zip(panels[1:], maps, titles, strict=False):
        panel.imshow(_paint(map_[window], colours[: max(num_labels - 1, 1)]))
        panel.set_title(title, fontsize=9)
        _outline(panel, case.truth[window])
    return figure, panels[-1]


def _image(panel: Any, image: np.ndarray) -> None:
    grey = image[..., 0] if image.shape[-1] != 3 else image
    panel.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    panel.set_axis_off()


def _outline(panel: Any, truth: np.ndarray) -> None:
    for label in np.unique(truth[truth > 0]):
        if (truth == label).any() and (truth != label).any():
            panel.contour(truth == label, [0.5], colors="white", linewidths=0.8)


def _changes(panel: Any, truth: np.ndarray, before: np.ndarray, after: np.ndarray) -> None:
    changed = before != after
    kinds = {
        "mended": changed & (after == truth),
        "broken": changed & (before == truth),
        "wrong either way": changed & (before != truth) & (after != truth),
    }
    _mark(panel, kinds, CHANGES)


def _mark(panel: Any, kinds: dict[str, np.ndarray], colours: Sequence[str]) -> None:
    for colour, where in zip(colours, kinds.values(), strict=True):
        panel.imshow(_paint(where, np.array([matplotlib.colors.to_rgba(colour)]), opacity=0.9))
    handles = [
        Patch(color=colour, label=f"{name} {where.sum()}")
        for colour, (name, where) in zip(colours, kinds.items(), strict=True)
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


def _window(case: Shown) -> tuple[slice, ...]:
    """The part of the slice worth looking at: all structures with a margin."""
    foreground = np.any([case.truth, *case.maps.values()], axis=0)
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
