"""Learning curves of a run: training losses and validation Dice over the updates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from experiments import runs
from experiments.rows import compared


def draw(results: dict[str, Any], folder: Path) -> None:
    """Write ``curves.png``."""
    runs.write(folder / "curves.png", lambda file: plot(results).savefig(file, dpi=150))


def plot(results: dict[str, Any]) -> Figure:
    """One line per trained row (with a CRF: dashed) and seed, after the pre-training they share."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    losses, dice = figure.subplots(1, 2)
    pretrain_steps = results["config"]["pretrain_steps"]
    trained = {k: row for k, row in compared(results).rows.items() if row.how.trained}
    cycle = matplotlib.colormaps["tab20"].colors
    for index, seed in enumerate(results["seeds"]):
        drawn: list[Any] = []
        for number, (name, row) in enumerate(trained.items()):
            colour = cycle[number % len(cycle)]
            before = seed[name].get("pretraining")
            if before and before not in drawn:
                drawn.append(before)
                style = {"color": "0.4" if len(drawn) == 1 else colour, "linestyle": ":"}
                title = f"{row.title}, pre-training"
                _lines(losses, dice, before, 0, label=None if index else title, **style)
            style = {"color": colour, "linestyle": "--" if row.how.has_crf else "-"}
            title = None if index else row.title
            _lines(losses, dice, seed[name]["history"], pretrain_steps, label=title, **style)
    for axes in (losses, dice):
        axes.axvline(pretrain_steps, color="0.8", linewidth=1, zorder=0)
        axes.set_xlabel("updates")
        axes.grid(alpha=0.3)
    losses.set_ylabel("training loss on the unaries")
    log_scale(losses)
    dice.set_ylabel("validation Dice, % (with a CRF: refined)")
    dice.legend(fontsize="small" if len(trained) < 6 else "xx-small")
    figure.suptitle(f"{Path(results['config']['dataset']).name}: one line per seed")
    return figure


class _Plain(LogFormatter):
    """0.1 in place of a formula: where names are not parsed, no text is."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def log_scale(axes: Any) -> None:
    """Makes the y axis logarithmic."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_Plain())
    axes.yaxis.set_minor_formatter(_Plain())


def _lines(losses: Any, dice: Any, history: list[dict[str, float]], offset: int, **style) -> None:
    steps = [offset + point["step"] for point in history]
    style |= {"marker": ".", "alpha": 0.8}
    # A model with two outputs logs their losses by name; the unaries' is common to all rows.
    name = "unaries_loss" if "unaries_loss" in history[0] else "loss"
    losses.plot(steps, [point[name] for point in history], **style)
    dice.plot(steps, [point["validation_dice"] for point in history], **style)
