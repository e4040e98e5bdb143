"""The figures of the page of results. Each takes settings and returns a Matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from crfrnn.meanfield.parameters import THETAS
from experiments.score import stats
from experiments.show.curves import log_scale
from experiments.show.results import Outcome
from experiments.show.verdicts import MARGIN, differences

# Colours that differ for the colour-blind too (Okabe and Ito), black first: the reference.
COLOURS = ("black", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BY_VERDICT = {"gain": "#009E73", "loss": "#D55E00", "equivalent": "#0072B2", "not decided": "0.55"}
KERNELS = ("spatial", "bilateral")
DPI = 110
ROW_INCHES, PANEL_INCHES = 0.3, 2.9
LABEL_POINTS = 9
# Letters are about half as wide as high; 72 points are an inch.
LETTER_INCHES = 0.55 * LABEL_POINTS / 72


def dots(settings: Sequence[Outcome], rows: Sequence[str] = ()) -> Figure:
    """Dice of every row: mean, 95 % over seeds, and each seed as a small dot.

    Args:
        settings: of one study, a panel each; its reference is the dashed line.
        rows: names; none for all.
    """
    study = settings[0].study
    rows = list(rows) or [row for row in study.rows if any(row in s.rows for s in settings)]
    figure, panels = _panels(len(settings), [study.rows[row].title for row in rows])
    for setting, axes in zip(settings, panels, strict=True):
        for position, row in enumerate(rows):
            if row in setting.rows:
                values = setting.scores(row, "dice")
                colour = COLOURS[0] if row == study.reference else COLOURS[1]
                _mark(axes, position, values, stats.interval_over_seeds(values), colour)
        if study.reference in setting.rows:
            reference = stats.mean_and_sd(setting.scores(study.reference, "dice"))[0]
            axes.axvline(reference, color="0.5", linewidth=1, linestyle="--", zorder=0)
        axes.set_title(setting.name)
        axes.set_xlabel("Dice, %")
    return figure


def forest(settings: Sequence[Outcome]) -> Figure:
    """All differences of Dice with their 95 % intervals over cases and seeds, by verdict.

    One that is far from all others stands as a number at the side where it lies: they would be too
    small to be told apart.
    """
    titles = {pair: one.versus(*pair) for one in settings for pair in one.pairs}
    figure, panels = _panels(len(settings), [*titles.values()])
    for setting, axes in zip(settings, panels, strict=True):
        axes.axvspan(-MARGIN, MARGIN, color="0.93", zorder=0)
        axes.axvline(0, color="0.5", linewidth=1, zorder=0)
        found = differences(setting)
        far = far_off([one.comparison.over_both for one in found])
        for difference, is_far in zip(found, far, strict=True):
            pair, over_both = difference[:2], difference.comparison.over_both
            position, colour = [*titles].index(pair), BY_VERDICT[difference.verdict]
            if is_far:
                _at_the_side(axes, position, difference.comparison.mean, colour)
            else:
                _mark(axes, position, setting.change(*pair), over_both, colour)
        axes.set_title(setting.name)
        axes.set_xlabel("difference of Dice, points")
    handles = [Line2D([], [], marker="o", label=k, color=c) for k, c in BY_VERDICT.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
    return figure


def far_off(intervals: Sequence[Sequence[float]]) -> np.ndarray:
    """Which of (N, 2) intervals lie, as a whole, further than five times as far as most others.

    Example:
        >>> far_off([(-1.0, 2.0), (0.0, 1.0), (-1.0, 1.5), (40.0, 50.0)]).tolist()
        [False, False, False, True]
    """
    reach, nearest = np.abs(intervals).max(axis=1), np.abs(intervals).min(axis=1)
    return nearest > 5 * max(np.quantile(reach, 0.75, method="lower"), MARGIN)


def _at_the_side(axes: Any, position: float, mean: float, colour: str) -> None:
    """A number with an arrow, at the end of the axis that a mean lies beyond."""
    text, side = (f"{mean:+.1f} \u2192", "right") if mean > 0 else (f"\u2190 {mean:+.1f}", "left")
    place = (0.98 if mean > 0 else 0.02, position)
    where = axes.get_yaxis_transform()
    axes.text(*place, text, transform=where, color=colour, ha=side, va="center", fontsize=9)


def training_size(settings: Sequence[Outcome], rows: Sequence[str]) -> Figure:
    """Dice, and its difference to the reference, against the number of training cases.

    Args:
        settings: of one study, that differ in ``train_cases``.
        rows: a line each. Intervals of the left panel are over seeds, of the right over both.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    study = settings[0].study
    settings = sorted(settings, key=lambda setting: setting.config["train_cases"])
    for index, row in enumerate(rows):
        inside = [setting for setting in settings if row in setting.rows]
        # Side by side, so that intervals do not hide each other.
        shift = 1.04 ** (index - (len(rows) - 1) / 2)
        sizes = [setting.config["train_cases"] * shift for setting in inside]
        style = {"color": COLOURS[index % len(COLOURS)], "label": study.rows[row].title}
        scores = [setting.scores(row, "dice") for setting in inside]
        means = [stats.mean_and_sd(values)[0] for values in scores]
        errorbars(
            left, sizes, means, [stats.interval_over_seeds(values) for values in scores], style
        )
        if row != study.reference:
            found = [setting.comparison(row, study.reference) for setting in inside]
            means = [comparison.mean for comparison in found]
            errorbars(right, sizes, means, [comparison.over_both for comparison in found], style)
    for axes in (left, right):
        axes.set_xscale("log")
        cases = [setting.config["train_cases"] for setting in settings]
        axes.set_xticks(cases, labels=[str(number) for number in cases])
        axes.minorticks_off()
        axes.set_xlabel("training cases")
        axes.grid(alpha=0.3)
    left.set_ylabel("Dice, %")
    left.legend(fontsize=8)
    right.set_ylabel(f"difference to {study.rows[study.reference].title}, points")
    right.axhspan(-MARGIN, MARGIN, color="0.93", zorder=0)
    right.axhline(0, color=COLOURS[0], linewidth=1, zorder=0)
    return figure


def gains(setting: Outcome, row: str, reference: str) -> Figure:
    """For every test case, what a row changes against how good the reference is."""
    # NaN where any seed has none.
    before, after = (setting.scores(name, "dice").mean(axis=0) for name in (reference, row))
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color="0.5", linewidth=1, zorder=0)
    axes.scatter(before, after - before, s=14, color=COLOURS[1], alpha=0.7)
    better = np.mean((after > before)[np.isfinite(after - before)])
    axes.set_title(f"{setting.name}: {better:.0%} of the cases better", fontsize=10)
    axes.set_xlabel(f"Dice of {setting.rows[reference].title}, %")
    axes.set_ylabel(f"{setting.rows[row].title},\ndifference, points", fontsize=9)
    axes.grid(alpha=0.3)
    return figure


def crf_parameters(setting: Outcome, row: str) -> Figure:
    """What the CRF of a row learned: compatibility, kernel weights and, where trained, bandwidths.

    Curves have a line per seed, the matrix is a mean over the seeds.

    Raises:
        ValueError: if the row has no trained CRF.
    """
    seeds = [
        _course(history, choices["search"]["best"])
        for history, choices in zip(setting.crf(row), setting.choices(row), strict=True)
        if history
    ]
    if not seeds:
        raise ValueError(f"Row {row!r} of setting {setting.name} has no trained CRF.")
    thetas = [name for name in THETAS if name in seeds[0][-1]]
    figure = Figure(figsize=(12 if thetas else 9, 3.4), layout="constrained")
    learned, *curves = figure.subplots(1, 4 if thetas else 3)
    last = np.mean([course[-1]["compatibility"] for course in seeds], axis=0)
    _matrix(learned, last, f"compatibility after {seeds[0][-1]['step']} updates")
    entries = ("on the diagonal", "beside it")
    _curves(curves[0], seeds, entries, "its entries, change from Potts")
    _curves(curves[1], seeds, KERNELS, "kernel weights, mean over labels")
    curves[1].set_ylim(bottom=0)
    if thetas:
        _curves(curves[2], seeds, thetas, "bandwidths, pixels or intensity")
        log_scale(curves[2])
    title = f"{setting.name}: {setting.rows[row].title}, from the start (0) on, lines of each seed"
    figure.suptitle(title, fontsize=11)
    return figure


def _course(
    history: Sequence[Mapping[str, Any]], best: Mapping[str, float]
) -> list[dict[str, Any]]:
    """What a CRF's curves show, with its start (searched, or given by the row) as update 0."""
    potts = -np.eye(len(history[0]["compatibility"]))
    diagonal = potts != 0
    start = {"step": 0, "compatibility": potts, **{k: best[f"{k}_weight"] for k in KERNELS}}
    start |= {name: best[name] for name in THETAS}
    course = []
    for point in (start, *history):
        moved = np.asarray(point["compatibility"]) - potts
        sizes = {k: _size(point[k]) for k in (*KERNELS, *THETAS) if k in point}
        entries = {"on the diagonal": moved[diagonal], "beside it": moved[~diagonal]}
        course.append({**point, **sizes, **entries})
    return course


def _panels(number: int, titles: Sequence[str]) -> tuple[Figure, np.ndarray]:
    """Panels side by side, with a row for each title."""
    width = LETTER_INCHES * max(map(len, titles)) + PANEL_INCHES * number
    figure = Figure(figsize=(width, 1.2 + ROW_INCHES * len(titles)), layout="constrained")
    panels = figure.subplots(1, number, sharey=True, squeeze=False)[0]
    panels[0].set_yticks(range(len(titles)), labels=titles, fontsize=LABEL_POINTS)
    panels[0].set_ylim(len(titles) - 0.5, -0.5)  # the first on top
    for axes in panels:
        axes.grid(axis="x", alpha=0.3)
    return figure, panels


def _mark(
    axes: Any, position: float, values: np.ndarray, interval: Sequence[float], colour: str
) -> None:
    """Mean and interval of (R, N), and below them the seeds as small dots."""
    per_seed = [stats.mean_and_sd(seed[None])[0] for seed in values]
    beside = [position + 0.27] * len(per_seed)  # not hidden by the bar
    axes.plot(per_seed, beside, ".", color=colour, alpha=0.45, markersize=4)
    axes.plot(interval, [position] * 2, color=colour, linewidth=2)
    axes.plot(np.mean(per_seed), position, "o", color=colour, markersize=5)


def errorbars(axes: Any, x: Sequence[float], means: Any, intervals: Any, style: Any) -> None:
    """A line of means (N,) with their intervals (N, 2)."""
    below, above = np.abs(np.transpose(intervals) - np.array(means))
    axes.errorbar(x, means, yerr=[below, above], marker="o", markersize=4, capsize=3, **style)


def _curves(axes: Any, seeds: Any, names: Sequence[str], title: str) -> None:
    """Parameters over the updates, one or more lines per seed."""
    for colour, name in zip(COLOURS[1:], names, strict=False):
        for course in seeds:
            steps, values = ([point[key] for point in course] for key in ("step", name))
            axes.plot(steps, values, color=colour, marker=".", alpha=0.6)
        axes.plot([], [], color=colour, marker=".", label=name)
    axes.legend(fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("updates")
    axes.grid(alpha=0.3)


def _matrix(axes: Any, matrix: np.ndarray, title: str) -> None:
    limit = max(np.abs(matrix).max(), 0.01)  # what is less is printed as 0.00
    axes.imshow(matrix, cmap="RdBu", vmin=-limit, vmax=limit)
    for (row, column), value in np.ndenumerate(matrix):
        colour = "white" if abs(value) > 0.6 * limit else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(matrix)))
    axes.set_yticks(range(len(matrix)))
    axes.set_xlabel("label")
    axes.set_title(title, fontsize=10)


def _size(parameter: Any) -> float:
    """Mean over labels, axes or channels: of a number, a vector, or the diagonal of a matrix."""
    array = np.asarray(parameter, np.float64)
    return float(np.mean(np.diagonal(array) if array.ndim == 2 else array))
