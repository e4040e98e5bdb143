"""Learning curves of a run: training losses and validation Dice over the updates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from experiments import runs
from experiments.rows import compared


def draw(results: dict[str, Any], folder: Path) -> None:
    """Write ``curves.png``."""
    runs.write(folder / "curves.png", lambda file: plot(results).savefig(file, dpi=150))


def plot(results: dict[str, Any]) -> Figure:
    """One line per trained row and seed, after the pre-training they share.

    Each row has a colour; rows with a CRF are dashed.

    Args:
        results: content of ``results.json``.
    """
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
                title = f"{row.title}, pre-training" if not index else None
                _lines(losses, dice, before, 0, "0.4" if len(drawn) == 1 else colour, ":", title)
            style = "--" if row.how.has_crf else "-"
            title = row.title if not index else None
            _lines(losses, dice, seed[name]["history"], pretrain_steps, colour, style, title)
    for axes in (losses, dice):
        axes.axvline(pretrain_steps, color="0.8", linewidth=1, zorder=0)
        axes.set_xlabel("updates")
        axes.grid(alpha=0.3)
    losses.set_ylabel("training loss on the unaries")
    losses.set_yscale("log")
    dice.set_ylabel("validation Dice, % (with a CRF: refined)")
    dice.legend(fontsize="small" if len(trained) < 6 else "xx-small")
    figure.suptitle(f"{Path(results['config']['dataset']).name}: one line per seed")
    return figure


def _lines(
    losses: Any,
    dice: Any,
    history: list[dict[str, float]],
    offset: int,
    colour: Any,
    line: str,
    title: str | None,
) -> None:
    steps = [offset + point["step"] for point in history]
    style = {"color": colour, "linestyle": line, "marker": ".", "alpha": 0.8}
    # A model with two outputs logs their losses by name; the unaries' is common to all rows.
    name = "unaries_loss" if "unaries_loss" in history[0] else "loss"
    losses.plot(steps, [point[name] for point in history], **style)
    dice.plot(steps, [point["validation_dice"] for point in history], label=title, **style)
