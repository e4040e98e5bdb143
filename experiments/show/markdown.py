"""Numbers and tables as Markdown, for the table of a run and for the page of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.score import stats

NOTHING = "-"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table: the first column to the left, numbers to the right.

    Example:
        >>> print(table(["", "Dice %"], [["U-Net", "90.5"]]))
        |  | Dice % |
        | --- | ---: |
        | U-Net | 90.5 |
    """
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))


def mean_and_sd(values: np.ndarray) -> str:
    """Values (R, N) as "mean ± standard deviation over seeds"; "-" without any.

    Example:
        >>> mean_and_sd(np.array([[1.0, 3.0], [5.0, 7.0]]))
        '4.00 ± 2.83'
    """
    mean, sd = stats.mean_and_sd(values)
    if np.isnan(mean):
        return NOTHING
    return f"{mean:.2f} ± {sd:.2f}" if np.isfinite(sd) else f"{mean:.2f}"


def interval(bounds: Sequence[float]) -> str:
    """Lower and upper bound; "-" without any.

    Example:
        >>> interval((0.1, 0.25))
        '[+0.10, +0.25]'
    """
    if np.isnan(bounds).any():
        return NOTHING
    return f"[{signed(bounds[0])}, {signed(bounds[1])}]"


def signed(value: float) -> str:
    """A difference, to two decimals; "-" without any.

    Example:
        >>> signed(0.25), signed(-0.001), signed(float("nan"))
        ('+0.25', '+0.00', '-')
    """
    if np.isnan(value):
        return NOTHING
    return f"{round(value, 2) + 0.0:+.2f}"  # + 0.0 turns -0.0 into 0.0


def p_value(p: float) -> str:
    """A p-value, to three decimals; "-" without any.

    Example:
        >>> p_value(0.0312), p_value(0.0002)
        ('0.031', '< 0.001')
    """
    if np.isnan(p):
        return NOTHING
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def numbers(value: Any) -> str:
    """One number or a list of them, such as theta_beta of several channels.

    Example:
        >>> numbers(0.12345), numbers([1.0, 2.5])
        ('0.123', '1 / 2.5')
    """
    return " / ".join(f"{number:.3g}" for number in np.ravel(value))
