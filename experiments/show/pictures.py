"""Pictures of test cases: image, truth, the rows' predictions, and what the CRF-RNN changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from crfrnn.diagnosis import paint
from experiments import runs
from experiments.config import Config
from experiments.rows import Comparison, Row
from experiments.show.cases import Shown, pair, ranked, seen, show, spread

ERRORS = {"missed": "tab:blue", "invented": "tab:red", "wrong label": "gold"}


def draw(config: Config, comparison: Comparison, results: dict[str, Any], folder: Path) -> None:
    """Write ``pictures/<rank>-<case>.png`` for some test cases of seed 0, and ``cases.png``.

    The cases are spread evenly from the best change of Dice to the worst: the losses are shown with
    the wins. ``cases.png`` has the errors of all pictured rows on the best, the median and the
    worst of them.
    """
    rows, (after, before) = comparison.rows, pair(comparison)
    ranking = ranked(config, comparison, results, folder, comparison.pictured)

    def shown(rank: int) -> Shown:
        return show(ranking[rank], config, comparison)

    for rank in spread(len(ranking), config.pictures):
        one = shown(rank)
        figure, last = _figure(one, rows, changes=comparison.change is not None)
        rest = f"rank {rank + 1} of {len(ranking)}"
        if comparison.change:
            names = rows[before].title, rows[after].title
            counted = np.where(one.labelled, one.maps[after], one.maps[before])
            masks = paint.changes(one.maps[before], counted, one.truth)
            paint.mark(last, masks, paint.CHANGES)
            last.set_title("what changed\n" + " → ".join(names), fontsize=7)
            rest = f"{one.gain:+.2f} Dice by {names[1]}, {rest}"
        figure.suptitle(f"{one.id}: {rest}", fontsize=10)
        name = f"{rank + 1:03d}-{one.id.replace('/', '_')}.png"
        _save(figure, folder / "pictures" / name)
    ends = {"best": 0, "median": len(ranking) // 2, "worst": len(ranking) - 1}
    _save(_errors({name: shown(rank) for name, rank in ends.items()}, rows), folder / "cases.png")


def _save(figure: Figure, path: Path) -> None:
    runs.write(path, lambda file: figure.savefig(file, dpi=150))


def _errors(cases: Mapping[str, Shown], rows: Mapping[str, Row]) -> Figure:
    """A line of panels per case: the image with the true outlines, and where each row is wrong."""
    columns = 1 + len(next(iter(cases.values())).maps)
    figure = Figure(figsize=(2.4 * columns, 2.6 * len(cases)), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1)  # legends come near the titles below them
    for (name, case), panels in zip(
        cases.items(), figure.subplots(len(cases), columns, squeeze=False), strict=True
    ):
        for panel in panels:
            _image(panel, case)
            paint.outline(panel, case.outlined)
        panels[0].set_title(f"{name}: {case.id}\n{case.gain:+.2f} Dice", fontsize=8)
        for panel, row in zip(panels[1:], case.maps, strict=True):
            paint.mark(panel, _wrong(case, case.maps[row]), ERRORS)
            panel.set_title(_title(case, row, rows), fontsize=8)
    return figure


def _wrong(case: Shown, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of the errors, by the names in ``ERRORS``; without background all are of one kind."""
    truth, background = case.truth, case.background
    missed = (truth != background) & (predicted == background)
    invented = (truth == background) & (predicted != background)
    confused = (truth != predicted) & ~missed & ~invented
    masks = (mask & case.labelled for mask in (missed, invented, confused))
    return dict(zip(ERRORS, masks, strict=True))


def _figure(case: Shown, rows: Mapping[str, Row], changes: bool) -> tuple[Figure, Any]:
    """Image, truth and predictions side by side; the last panel is left for the changes, if any."""
    count = 1 + max(map_.max() for map_ in (case.outlined, *case.maps.values()))
    colours = paint.palette(count, case.background, case.ignore)
    number = 2 + len(case.maps) + changes
    figure = Figure(figsize=(2.5 * number, 3.3), layout="constrained")
    panels = figure.subplots(1, number)
    for panel in panels:
        _image(panel, case)
    panels[0].set_title("image", fontsize=9)
    maps = (case.truth, *case.maps.values())
    titles = ("ground truth", *(_title(case, row, rows) for row in case.maps))
    for panel, map_, title in zip(panels[1:], maps, titles, strict=False):
        panel.imshow(paint.paint(map_, colours))
        panel.set_title(title, fontsize=9)
        paint.outline(panel, case.outlined)
    return figure, panels[-1]


def _title(case: Shown, row: str, rows: Mapping[str, Row]) -> str:
    return f"{rows[row].title}\nDice {case.scores[row]['dice']:.1f}"


def _image(panel: Any, case: Shown) -> None:
    panel.imshow(seen(case.image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    panel.set_axis_off()
