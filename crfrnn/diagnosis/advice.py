"""What a verdict says and what it advises: where the truth is known, only what holds against it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

LABELS_WOULD_TELL = (
    "Whether the CRF helps, labels would tell: give those of this case, or some labelled cases to "
    "`crfrnn search`."
)


class Advice(NamedTuple):
    """What looks wrong, and what usually mends it.

    fact: a sentence. remedy: another one, in the imperative.
    change: of the arguments, what the remedy means in numbers; None: it gives no numbers.
    """

    fact: str
    remedy: str
    change: Mapping[str, Any] | None = None


class Judge(NamedTuple):
    """The truth of a case, as far as it judges a CRF.

    name: of the score, in words. before, after: without and with the CRF, percent.
    score: what the score would be with other arguments.
    """

    name: str
    before: float
    after: float
    score: Callable[[Mapping[str, Any]], float]

    @property
    def gain(self) -> float:
        """In percent points, of the two digits that are shown."""
        return round(self.after, 2) - round(self.before, 2)


def said(advice: Advice, judge: Judge | None) -> str:
    """An advice in words. Where the truth is known its remedy is tried, and refused if it is none.

    A remedy that gives no numbers cannot be tried: it is left out where the CRF helps.

    Example:

    >>> advice = Advice("They drown.", "Lower the weights.", {"bilateral_weight": 1.0})
    >>> said(advice, None)
    'They drown. Lower the weights.'
    >>> said(advice, Judge("Dice", 80.0, 90.0, lambda change: 91.0))
    'They drown. Lower the weights: the Dice is then 91.00 %.'
    >>> said(advice, Judge("Dice", 80.0, 90.0, lambda change: 85.0))
    'They drown. But leave it so: to lower the weights would bring the Dice to 85.00 %.'
    """
    fact, remedy, change = advice
    if judge is None:
        return f"{fact} {remedy}"
    if change is None:
        return fact if judge.gain > 0 else f"{fact} {remedy}"
    would_be = judge.score(change)
    if math.isnan(would_be):
        return f"{fact} {remedy}"
    if round(would_be, 2) > round(judge.after, 2):
        return f"{fact} {remedy[:-1]}: the {judge.name} is then {would_be:.2f} %."
    return (
        f"{fact} But leave it so: to {remedy[0].lower()}{remedy[1:-1]} would bring the "
        f"{judge.name} to {would_be:.2f} %."
    )
