"""The figure of a search: progress, what mattered, and the score along each parameter."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from crfrnn.optional import needed
from crfrnn.parameters.search import FACTORS, THETAS, SearchResult, level

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEWEST = 10  # different scores below which importances mean nothing
_DOTS = "tab:blue"
_OFF, _GUESS, _BEST = "0.4", "tab:orange", "tab:red"


def draw(result: SearchResult) -> Figure:
    """Draws a search; see `SearchResult.plot`.

    Trials far below the baseline are triangles at the lower edge: they would squeeze the others.
    """
    needed("matplotlib", "Figures", "plot")
    # Without pyplot: no window, no state, no backend to choose.
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(13, 7), layout="constrained")
    upper, lower = figure.subfigures(2, 1, squeeze=False)[:, 0]
    progress, importance = upper.subplots(1, 2, width_ratios=(3, 2))
    slices = lower.subplots(1, len(FACTORS), sharey=True)

    scores = np.array([trial["score"] for trial in result.trials])
    best = int(scores.argmax())
    _scatter(progress, np.arange(len(scores)), scores, best)
    progress.step(
        np.arange(len(scores)), np.maximum.accumulate(scores), where="post", color=_BEST, lw=1
    )
    progress.set(xlabel="trial", ylabel="score, percent")
    progress.set_title(
        f"without CRF {result.baseline:.2f}, first guess {result.guess_score:.2f}, "
        f"best {result.score:.2f}",
        loc="left",
    )
    _importances(importance, result.study)
    for panel, name in zip(slices, FACTORS, strict=True):
        values = np.array([level(trial[name]) for trial in result.trials])
        _scatter(panel, values, scores, best)
        panel.set_xlabel(name)
        if name in THETAS:
            _log_axis(panel)
    slices[0].set_ylabel("score, percent")
    figure.legend(
        handles=[
            Line2D([], [], color=_OFF, ls="--", label="without CRF"),
            Line2D([], [], color=_GUESS, marker="D", ls="", label="first guess"),
            Line2D([], [], color=_BEST, marker="*", ms=11, ls="", label="best"),
        ],
        loc="outside upper right",
        ncols=3,
        frameon=False,
    )
    return figure


def _scatter(panel: Axes, x: np.ndarray, scores: np.ndarray, best: int) -> None:
    """Scores over a parameter, or over the number of the trial."""
    margin = max(scores[best] - scores[0], 1e-3)
    lowest = max(scores.min(), scores[0] - 1.5 * margin)
    shown, low = np.maximum(scores, lowest), scores < lowest
    panel.axhline(scores[0], color=_OFF, ls="--", lw=1)
    panel.plot(x[~low], shown[~low], "o", color=_DOTS, alpha=0.45, mec="none", ms=5)
    panel.plot(x[low], shown[low], "v", color=_DOTS, alpha=0.3, mec="none", ms=5)
    panel.plot(x[1], shown[1], "D", color=_GUESS, ms=7)
    panel.plot(x[best], shown[best], "*", color=_BEST, ms=13)
    panel.set_ylim(lowest - 0.1 * margin, scores[best] + 0.15 * margin)
    panel.spines[["top", "right"]].set_visible(False)


def _log_axis(panel: Axes) -> None:
    from matplotlib import ticker

    panel.set_xscale("log")
    panel.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(ticker.NullFormatter())
    panel.tick_params(axis="x", labelsize="small")


def _importances(panel: Axes, study: optuna.Study) -> None:
    import optuna

    panel.spines[["top", "right"]].set_visible(False)
    panel.set_title("importance for being among the best trials", loc="left")
    if len({trial.value for trial in study.trials} - {None}) < _FEWEST:
        panel.text(0.5, 0.5, "too few different scores", ha="center", transform=panel.transAxes)
        panel.set(xticks=[], yticks=[])
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        importances = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
    names = list(reversed(importances))
    panel.barh(names, [importances[name] for name in names], color=_DOTS)
    panel.set_xlim(0, 1)
