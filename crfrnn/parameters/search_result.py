"""What a search found: the best CRF, what it is worth, and the figure of how it came about."""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crfrnn.meanfield.parameters import THETAS
from crfrnn.optional import needed
from crfrnn.parameters.gain import CONFIDENCE, Gain, group_names
from crfrnn.parameters.metrics import Metric
from crfrnn.parameters.ranges import FACTORS, level
from crfrnn.parameters.slots import complete

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEWEST = 6  # groups; see `Gain`
_FEW_SCORES = 10  # different scores below which importances mean nothing
_DOTS = "tab:blue"
_OFF, _GUESS, _BEST = "0.4", "tab:orange", "tab:red"


@dataclass(frozen=True)
class SearchResult:
    """What `search` found; `print` it, `plot` it, and pass `best` on.

    Attributes:
        best: arguments of the best trial, as they are for `refine` and `CRFRNN`. Where the first
            trial is the best, both weights are 0: `refine` then changes nothing.
        score: its score, percent: the mean over the cases it was chosen on, so optimistic.
        baseline: score without CRF. guess_score: score of the first guess.
        metric: what the scores are, a name as `search` takes it.
        gain: `Gain` in percent points over no CRF, on cases that had no part in the
            choice: for each group of cases, the trial that is best on all *other* groups is scored
            on it.
        trials: for each trial its arguments and "score", in the order they were made.
        study: Optuna's study, for its own plots and tables.
        interrupted: whether Ctrl-C ended the search early.
    """

    best: dict[str, Any]
    score: float
    baseline: float
    guess_score: float
    gain: Gain
    metric: str
    trials: list[dict[str, Any]] = field(repr=False)
    study: optuna.Study = field(repr=False)
    interrupted: bool = False

    @property
    def helps(self) -> bool:
        """Whether the gain is beyond what the choice of the cases may explain (95 %)."""
        return self.gain.interval[0] > 0 and self.gain.p_value < 1 - CONFIDENCE

    @property
    def verdict(self) -> str:
        """What the gain means, in a sentence."""
        if self.helps:
            return "A CRF helps here."
        if self.gain.groups < _FEWEST and self.gain.mean > 0:
            return f"Too few cases for proof: search on {_FEWEST} or more."
        return "Not beyond chance: leave the CRF out, or search on more cases."

    def plot(self) -> Figure:
        """A figure of what mattered: progress, importances, and the score along each parameter.

        Needs Matplotlib. Nothing is shown or saved: a notebook shows the figure it gets,
        `figure.savefig("search.png")` saves it.
        """
        return _draw(self)

    def __str__(self) -> str:
        best = ", ".join(f"{name}={_short(value)}" for name, value in self.best.items())
        low, high = self.gain.interval
        held_out = f"{self.gain.mean:+.2f}"
        if not math.isnan(low):
            held_out += f" [{low:+.2f}, {high:+.2f}], p = {self.gain.p_value:.2g}"
        return (
            f"{len(self.trials)} trials{', interrupted' if self.interrupted else ''}. "
            f"Without CRF {self.metric} {self.baseline:.2f}, first guess {self.guess_score:.2f}, "
            f"best {self.score:.2f}.\n"
            f"Gain on cases that had no part in the choice: {held_out}. {self.verdict}\n"
            f"{best}"
        )


def result_of(
    study: optuna.Study, metric: Metric, groups: Sequence[Hashable], interrupted: bool
) -> SearchResult:
    """What a study's complete trials have found."""
    done = complete(study)
    scores = np.array([trial.user_attrs["scores"] for trial in done])  # (trials, N, *M)
    means = np.array([trial.values[0] for trial in done])
    best = int(means.argmax())
    return SearchResult(
        best=dict(done[best].user_attrs["arguments"]),
        score=float(means[best]),
        baseline=float(means[0]),
        guess_score=float(means[1]),
        gain=metric.gain(scores[0], held_out(scores, groups, metric), groups),
        metric=metric.name,
        trials=[{**t.user_attrs["arguments"], "score": t.value} for t in done],
        study=study,
        interrupted=interrupted,
    )


def held_out(scores: np.ndarray, groups: Sequence[Hashable], metric: Metric) -> np.ndarray:
    """What is measured of each case under the trial that is best on all cases of other groups.

    scores: (trials, N, *M), trial 0 without CRF. Returns (N, *M); with a single group, that of
    trial 0.
    """
    names = group_names(groups)
    kept = scores[0].copy()
    for group in np.unique(names):
        inside = names == group
        others = metric.total(scores[:, ~inside])
        if not np.isnan(others[0]):
            kept[inside] = scores[int(np.nanargmax(others)), inside]
    return kept


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _draw(result: SearchResult) -> Figure:
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
    if len({trial.value for trial in study.trials} - {None}) < _FEW_SCORES:
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
