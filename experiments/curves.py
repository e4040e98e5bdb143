"""Learning curves of a run: training losses and validation Dice over the updates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from experiments import runs
from experiments.table import compared

COLOURS = {"plain": "tab:blue", "plain_again": "tab:cyan", "joint": "tab:red"}


def draw(results: dict[str, Any], folder: Path) -> None:
    """Write ``curves.png``: one line per row and seed, after the pre-training they share.

    Where several networks are compared, each has a colour, and its joint training is dashed.
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    losses, dice = figure.subplots(1, 2)
    pretrain_steps = results["config"]["pretrain_steps"]
    rows = compared(results).rows
    networks = list(dict.fromkeys(row.network for row in rows.values()))
    cycle = matplotlib.colormaps["tab10"].colors
    for index, seed in enumerate(results["seeds"]):
        for name, row in rows.items():
            if "history" not in seed[name]:
                continue
            colour, style = COLOURS[row.kind], "-"
            if row.network:
                colour = cycle[networks.index(row.network) % len(cycle)]
                style = "--" if row.kind == "joint" else "-"
            if row.kind == "plain":
                first = row.network is None and not index
                title = f"{row.title}, pre-training" if first else None
                before = colour if row.network else "0.4"
                _lines(losses, dice, seed[name]["pretraining"], 0, before, style, title)
            title = row.title if not index else None
            _lines(losses, dice, seed[name]["history"], pretrain_steps, colour, style, title)
    for axes in (losses, dice):
        axes.axvline(pretrain_steps, color="0.8", linewidth=1, zorder=0)
        axes.set_xlabel("updates")
        axes.grid(alpha=0.3)
    losses.set_ylabel("training loss on the unaries")
    losses.set_yscale("log")
    dice.set_ylabel("validation Dice, % (CRF-RNN: refined)")
    dice.legend()
    figure.suptitle(f"{Path(results['config']['dataset']).name}: one line per seed")
    runs.write(folder / "curves.png", lambda file: figure.savefig(file, dpi=150))


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
