"""What a search maximises: the mean score of the cases, or one score of all cases together.

A metric measures one case, adds cases up, and tells what a CRF gains. Each measurement is an array,
so that those of many trials and cases form one: a number per case, or counts (L, 3) of its labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

import numpy as np

from crfrnn.parameters import pooled, scores
from crfrnn.parameters.gain import Gain, gain

# Up to so many labels the default is "dice", beyond it "mdice".
_FEW_LABELS = 3

METRICS = (*scores.METRICS, *pooled.METRICS)


class Metric(Protocol):
    """How a CRF is judged on labelled cases; name: in `METRICS`."""

    name: str

    def case(
        self,
        truth: np.ndarray,
        num_labels: int,
        *,
        spacing: Sequence[float] | None,
        width: float,
        known: np.ndarray | None,
    ) -> Callable[[np.ndarray], np.ndarray | float]:
        """Makes the function of a label map (*S) that measures it; see `label_map_score`."""

    def total(self, measured: np.ndarray) -> np.ndarray:
        """Percent, from measurements of N cases (..., N, *M); NaN where there is nothing."""

    def gain(self, before: np.ndarray, after: np.ndarray, groups: Sequence[Hashable]) -> Gain:
        """What is gained, from measurements of the same N cases (N, *M)."""


class PerCase:
    """Mean over cases of the mean over their labels; M = ()."""

    def __init__(self, name: str):
        self.name = name

    def case(self, truth, num_labels, *, spacing, width, known):  # type: ignore[no-untyped-def]
        return scores.label_map_score(
            truth, num_labels, self.name, spacing=spacing, width=width, known=known
        )

    def total(self, measured: np.ndarray) -> np.ndarray:
        *outer, number = measured.shape
        rows = measured.reshape(math.prod(outer), number)
        return np.array([scores.nanmean(row) for row in rows]).reshape(outer)

    def gain(self, before: np.ndarray, after: np.ndarray, groups: Sequence[Hashable]) -> Gain:
        return gain(before, after, groups)


class Pooled:
    """Mean over labels of their overlap, counted over all cases together; M = (L, 3)."""

    def __init__(self, name: str):
        self.name = name

    def case(self, truth, num_labels, *, spacing, width, known):  # type: ignore[no-untyped-def]
        return pooled.counter(truth, num_labels, known)

    def total(self, measured: np.ndarray) -> np.ndarray:
        return pooled.score(measured.sum(-3), self.name)

    def gain(self, before: np.ndarray, after: np.ndarray, groups: Sequence[Hashable]) -> Gain:
        return pooled.gain(before, after, groups, self.name)


def metric(name: str) -> Metric:
    """The metric of a name in `METRICS`.

    Example:

    >>> metric("dice").total(np.array([[80.0, 90.0], [np.nan, 70.0]]))
    array([85., 70.])
    """
    return Pooled(name) if name in pooled.METRICS else PerCase(name)


def default(num_labels: int) -> str:
    """The name of the metric that suits so many labels.

    With many labels most are absent from a case, and its mean Dice asks above all whether a stray
    point of an absent label is left.

    Example:

    >>> default(2), default(21)
    ('dice', 'mdice')
    """
    return "dice" if num_labels <= _FEW_LABELS else "mdice"
