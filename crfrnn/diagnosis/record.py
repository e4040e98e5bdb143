"""What a diagnosis holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crfrnn.diagnosis.edges import Edges


@dataclass(frozen=True)
class Messages:
    """How strongly the kernels speak, against how sure the unaries are, in nats.

    margin: (N,) logit of each point's most likely label minus that of the next: what a message has
        to outweigh to change the label.
    reach: (N,) largest minus smallest message over the labels, in the first iteration: what it can
        outweigh at most.
    agreement: (N,) how much that message supports the label that the unary prefers, against the
        next: negative where it contradicts.
    shares: of what moved the changed points, the part of each kernel, "bilateral" and "spatial".
    """

    margin: np.ndarray
    reach: np.ndarray
    agreement: np.ndarray
    shares: dict[str, float]


@dataclass(frozen=True)
class Findings:
    """What the iterations of a CRF did to a case.

    Attributes:
        before, after: probabilities (*S, L), float32.
        max_change, mean_change: (T,) largest and mean change of a probability in each iteration.
        flips: (T,) share of the points whose label changes in each iteration.
        changed: (T,) share of the points whose label differs from the one before the CRF.
        kl: (T + 1,) divergence of Q from the CRF in nats per point, but for a constant, before the
            first and after each iteration; see `DenseCRF.kl`.
        label_shares: (L, 2) share of the points with each label, before and after.
        edges: how strongly the edges of the image act; None where the bilateral kernel is off.
        messages: how strongly the kernels speak, against how sure the unaries are.
        metrics: if labels were given, for "dice" and "iou" the percent before and after, means over
            the foreground labels, and for "correct" the share of points. With more than three
            labels "mdice" and "miou" in place of the first two; see `crfrnn.search`.
        mask: (*S) of bool, the points that all numbers are about; None: all.
    """

    before: np.ndarray = field(repr=False)
    after: np.ndarray = field(repr=False)
    max_change: np.ndarray
    mean_change: np.ndarray
    flips: np.ndarray
    changed: np.ndarray
    kl: np.ndarray
    label_shares: np.ndarray
    edges: Edges | None = field(repr=False)
    messages: Messages = field(repr=False)
    metrics: dict[str, tuple[float, float]]
    image: np.ndarray = field(repr=False)
    labels: np.ndarray | None = field(repr=False)
    mask: np.ndarray | None = field(repr=False)
    parameters: dict[str, Any]
