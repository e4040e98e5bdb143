"""Pictures of test cases: image, truth, the rows' predictions, and what the CRF-RNN changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import data
from experiments import runs
from experiments.config import Config
from experiments.rows import Comparison, Row
from experiments.train import inputs

CHANGES = ("tab:green", "tab:red", "gold")  # mended, broken, wrong either way
ERRORS = ("tab:blue", "tab:red", "gold")  # missed, invented, wrong label
MARGIN = 8  # points around the structures


def draw(config: Config, comparison: Comparison, results: dict[str, Any], folder: Path) -> None:
    """Write ``pictures/<rank>-<case>.png`` for some test cases of seed 0, and ``cases.png``.

    The cases are spread evenly from the best change of Dice to the worst: the losses are shown with
    the wins. ``cases.png`` has the errors of all pictured rows on the best, the median and the
    worst of them.

    Args:
        config: data set, number of pictures, slice axis.
        comparison: which rows are shown and which change of Dice ranks them.
        results: as in ``results.json``.
        folder: of the run, with the label maps of seed 0.
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
            _changes(last, one.truth, one.maps[before], one.maps[after])
            last.set_title("what changed\n" + " → ".join(names), fontsize=7)
            rest = f"{one.gain:+.2f} Dice by {names[1]}, {rest}"
        figure.suptitle(f"{one.id}: {rest}", fontsize=10)
        name = f"{rank + 1:03d}-{one.id.replace('/', '_')}.png"
        _save(figure, folder / "pictures" / name)
    ends = {"best": 0, "median": len(ranking) // 2, "worst": len(ranking) - 1}
    _save(_errors({name: shown(rank) for name, rank in ends.items()}, rows), folder / "cases.png")


class Ranked(NamedTuple):
    """A test case and what rows made of it."""

    case: data.Case
    gain: float  # in Dice points
    maps: dict[str, np.ndarray]  # by row, (*S)
    scores: dict[str, dict[str, Any]]  # by row, the case's metrics


class Shown(NamedTuple):
    """What is shown of one case: of one slice, the part (h, w) with the structures."""

    id: str
    gain: float  # in Dice points
    spacing: tuple[float, ...]  # of the two axes
    image: np.ndarray  # (h, w, K)
    truth: np.ndarray
    maps: dict[str, np.ndarray]  # by row
    scores: dict[str, dict[str, Any]]  # by row, of the whole case


def pair(comparison: Comparison) -> tuple[str, str]:
    """The rows (after, before) whose change of Dice ranks the cases; twice the same without one.

    From U-Net to U-Net + CRF-RNN; of listed models, the first that can be compared.
    """
    return comparison.change or (comparison.pictured[0], comparison.pictured[0])


def ranked(
    config: Config,
    comparison: Comparison,
    results: dict[str, Any],
    folder: Path,
    rows: Iterable[str],
) -> list[Ranked]:
    """The test cases with the label maps of seed 0, the best change of Dice first.

    Args:
        config: data set and its split.
        comparison: which change of Dice ranks the cases.
        results: as in ``results.json``.
        folder: of the run.
        rows: whose label maps are read, with those of ``pair`` among them.

    Raises:
        FileNotFoundError, ValueError: the data set or a label map is not there, or the data set has
            other test cases than the run had.
    """
    # The test cases do not depend on the seed.
    cases = inputs.split(config, seed=0)["test"]
    maps = {row: runs.read_arrays(folder / "seed-0" / f"{row}.npz") for row in rows}
    scores = {row: results["seeds"][0][row]["cases"] for row in maps}
    for row, of_row in scores.items():
        if [case.id for case in cases] != [case["id"] for case in of_row]:
            raise ValueError(
                f"the test cases are no longer those of the run: row {row!r} was tested on "
                f"{_some(case['id'] for case in of_row)}, now they are "
                f"{_some(case.id for case in cases)}. Bring the data set back as it was."
            )
    after, before = (np.array([case["dice"] for case in scores[row]]) for row in pair(comparison))
    gains = np.nan_to_num(after - before)
    return [
        Ranked(
            cases[index],
            float(gains[index]),
            {row: of_row[f"{index:05d}"] for row, of_row in maps.items()},
            {row: of_row[index] for row, of_row in scores.items()},
        )
        for index in np.argsort(-gains, kind="stable")
    ]


def spread(number: int, wanted: int) -> list[int]:
    """Some of the ranks 0..number-1, evenly from the first to the last.

    Example:
        >>> spread(60, 5)
        [0, 15, 30, 44, 59]
    """
    ranks = np.linspace(0, number - 1, min(wanted, number)).round().astype(int)
    return np.unique(ranks).tolist()


def show(tested: Ranked, config: Config, comparison: Comparison) -> Shown:
    """What is shown of a case: of a volume, the slice with most changed points.

    Args:
        tested: the case.
        config: slice axis.
        comparison: of whose ``pair`` the changed points are.
    """
    case, image, truth, maps, spacing = tested.case, *_slice(tested, config.slice_axis, comparison)
    window = _window(truth, maps)
    return Shown(
        case.id,
        tested.gain,
        spacing,
        image[window],
        truth[window],
        {row: map_[window] for row, map_ in maps.items()},
        tested.scores,
    )


def seen(image: np.ndarray) -> np.ndarray:
    """An image (h, w, K) as it is drawn: three channels as colours, else the first one, (h, w)."""
    return image if image.shape[-1] == 3 else image[..., 0]


def colours(number: int) -> np.ndarray:
    """The colours of the labels 1..number: (number, 4), RGBA in [0, 1]; from the tenth on again."""
    return matplotlib.colormaps["Set1"](np.arange(number) % 9)


def _some(names: Iterable[str]) -> str:
    first, *rest = names
    return f"{first!r} and {len(rest)} more"


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
        truth = case.truth
        for panel in panels:
            _image(panel, case.image)
            _outline(panel, truth)
        panels[0].set_title(f"{name}: {case.id}\n{case.gain:+.2f} Dice", fontsize=8)
        for panel, row in zip(panels[1:], case.maps, strict=True):
            predicted = case.maps[row]
            missed = (truth > 0) & (predicted == 0)
            invented = (truth == 0) & (predicted > 0)
            confused = (truth != predicted) & ~missed & ~invented
            kinds = {"missed": missed, "invented": invented, "wrong label": confused}
            _mark(panel, kinds, ERRORS)
            panel.set_title(_title(case, row, rows), fontsize=8)
    return figure


def _figure(case: Shown, rows: Mapping[str, Row], changes: bool) -> tuple[Figure, Any]:
    """Image, truth and predictions side by side; the last panel is left for the changes, if any."""
    num_labels = max(map_.max() for map_ in (case.truth, *case.maps.values())) + 1
    number = 2 + len(case.maps) + changes
    figure = Figure(figsize=(2.5 * number, 3.3), layout="constrained")
    panels = figure.subplots(1, number)
    for panel in panels:
        _image(panel, case.image)
    panels[0].set_title("image", fontsize=9)
    maps = (case.truth, *case.maps.values())
    titles = ("ground truth", *(_title(case, row, rows) for row in case.maps))
    for panel, map_, title in zip(panels[1:], maps, titles, strict=False):
        panel.imshow(_paint(map_, colours(max(num_labels - 1, 1))))
        panel.set_title(title, fontsize=9)
        _outline(panel, case.truth)
    return figure, panels[-1]


def _title(case: Shown, row: str, rows: Mapping[str, Row]) -> str:
    return f"{rows[row].title}\nDice {case.scores[row]['dice']:.1f}"


def _image(panel: Any, image: np.ndarray) -> None:
    panel.imshow(seen(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
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
        if where.any()
    ]
    panel.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),  # below: it must not hide what it explains
        ncols=len(kinds),
        fontsize=6,
        frameon=False,
        handlelength=1,
        columnspacing=1,
    )


def _slice(
    tested: Ranked, axis: int, comparison: Comparison
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], tuple[float, ...]]:
    """Image, truth, maps by row and spacing of one slice; of an image, of all of it."""
    case, maps = tested.case, tested.maps
    if case.label.ndim == 2:
        return case.image, case.label, maps, case.spacing
    after, before = pair(comparison)
    changed = np.moveaxis(maps[before] != maps[after], axis, 0)
    index = int(np.argmax(changed.sum(axis=(1, 2))))
    return (
        np.take(case.image, index, axis),
        np.take(case.label, index, axis),
        {row: np.take(map_, index, axis) for row, map_ in maps.items()},
        tuple(np.delete(case.spacing, axis).tolist()),
    )


def _window(truth: np.ndarray, maps: Mapping[str, np.ndarray]) -> tuple[slice, ...]:
    """The part of the slice worth looking at: all structures with a margin."""
    foreground = np.any([truth, *maps.values()], axis=0)
    if not foreground.any():
        return tuple(slice(size) for size in foreground.shape)
    return tuple(
        slice(max(places.min() - MARGIN, 0), places.max() + MARGIN + 1)
        for places in np.nonzero(foreground)
    )


def _paint(labels: np.ndarray, palette: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Label map (h, w) to colours (h, w, 4), background transparent."""
    painted = np.concatenate([np.zeros((1, 4)), palette])[labels.astype(int)]
    painted[..., 3] *= opacity
    return painted
