"""The table of damped mean field, from the committed measurement of `benchmarks.damping`."""

from __future__ import annotations

import json
from pathlib import Path

from experiments.show import markdown

ITERATIONS = "100"
SHOWN = ("0", "0.25", "0.5", "0.9", "Frank-Wolfe, 0.5", "Frank-Wolfe, 2 / (t + 2)")


def table(path: Path) -> str:
    """Energy, last change and Dice of each CRF and each kind of update.

    Args:
        path: a file of ``benchmarks/results``, of `python -m benchmarks.damping`.
    """
    measured = json.loads(path.read_text("utf-8"))
    lines = []
    for crf in measured["crfs"].values():
        for number, update in enumerate(SHOWN):
            found = crf["updates"][update][ITERATIONS]
            lines.append(
                [
                    crf["title"] if number == 0 else "",
                    update,
                    f"{found['energy']:.2f}",
                    f"{found['change']:.0e}"
                    if found["change"] < 0.01
                    else f"{found['change']:.2f}",
                    f"{found['dice']:.1f}",
                ]
            )
    return markdown.table(["CRF", "damping", "energy", "last change", "Dice"], lines)
