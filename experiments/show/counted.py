"""What pages say in pooled mean IoU: a difference, all of a setting, and gains against a stride."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.score.pooled import Difference
from experiments.score.stats import EQUIVALENCE_CONFIDENCE
from experiments.show import markdown
from experiments.show.figures import COLOURS, errorbars
from experiments.show.results import Outcome
from experiments.show.verdicts import in_words

MARGIN = 1.0  # points: twice what another order of batches moved in the pilot


def pooled_difference(setting: Outcome, row: str, reference: str) -> str:
    """Mean and 95 % interval over groups and seeds, "+0.72 [+0.46, +0.97]"."""
    found = setting.pooled(row, reference)
    return f"{markdown.signed(found.mean)} {markdown.interval(found.over_both)}"


def pooled_change(setting: Outcome) -> str:
    """All differences of a setting in pooled mean IoU, with what they say."""
    lines = []
    for pair in setting.pairs:
        found = setting.pooled(*pair)
        bounds = (found.over_both, found.over_groups, found.over_seeds)
        shown = [markdown.interval(one) for one in bounds]
        shown.insert(1, pooled_verdict(setting, *pair))
        per_seed = " ".join(map(markdown.signed, found.per_seed))
        lines.append([setting.versus(*pair), markdown.signed(found.mean), *shown, per_seed])
    head = ["difference of pooled mIoU", "mean", "95 % over both", "verdict"]
    return markdown.table([*head, "95 % over groups", "95 % over seeds", "per seed"], lines)


def pooled_verdict(setting: Outcome, row: str, reference: str) -> str:
    """A gain or a loss by the interval over both; else whether the rows are shown to be level."""
    narrower = setting.pooled(row, reference, EQUIVALENCE_CONFIDENCE)
    return verdict(setting.pooled(row, reference), narrower)


def verdict(found: Difference, narrower: Difference) -> str:
    """The same of a difference, with its interval of 95 % and with the narrower one of 90 %."""
    low, high = found.over_both
    level = bool(np.abs(narrower.over_both).max() <= MARGIN)
    word = "gain" if low > 0 else "loss" if high < 0 else "equivalent" if level else "not decided"
    return in_words(word, level, MARGIN)


def gain_by_stride(settings: Sequence[Outcome], pairs: Sequence[Sequence[str]]) -> Figure:
    """Differences of pooled mean IoU against the network's output stride, over groups and seeds.

    Args:
        settings: of one study, that differ in ``output_stride``.
        pairs: (row, reference), a line each.
    """
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.axhspan(-MARGIN, MARGIN, color="0.93", zorder=0)
    axes.axhline(0, color=COLOURS[0], linewidth=1, zorder=0)
    strides = [setting.config["output_stride"] for setting in settings]
    for index, pair in enumerate(pairs):
        shift = 1.06 ** (index - (len(pairs) - 1) / 2)  # so that intervals do not hide each other
        found = [setting.pooled(*pair) for setting in settings]
        style = {"color": COLOURS[1 + index % (len(COLOURS) - 1)]}
        errorbars(
            axes,
            np.multiply(strides, shift),
            [one.mean for one in found],
            [one.over_both for one in found],
            {**style, "label": settings[0].versus(*pair)},
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(strides, labels=[str(stride) for stride in strides])
    axes.minorticks_off()
    axes.set_xlabel("output stride, pixels")
    axes.set_ylabel("difference of pooled mean IoU, points")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", fontsize=8)
    return figure
