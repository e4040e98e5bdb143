"""From logits of slices to label maps, metrics per case, and the share of points changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from crfrnn.scores import nanmean
from experiments import metrics
from experiments.config import Config
from experiments.inputs import Slices
from experiments.training import model_input


def predict(model: keras.Model, slices: Slices, batch_size: int) -> dict[str, list[np.ndarray]]:
    """Logits of every case, without padding.

    Args:
        model: with the input and output of ``models``.
        slices: of any split.
        batch_size: slices at once.

    Returns:
        "unaries", and "refined" if the model has a CRF: one array (D, h, w, L) per case.
    """
    logits = model.predict(model_input(model, slices), batch_size=batch_size, verbose=0)
    named = logits if isinstance(logits, dict) else {"unaries": logits}
    return {name: slices.per_case(np.asarray(array)) for name, array in named.items()}


def label_maps(slices: Slices, scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The most likely label of every point: scores (D, h, w, L) per case to label maps (*S)."""
    return [
        slices.restore(np.argmax(score, axis=-1).astype("uint8"), case)
        for score, case in zip(scores, slices.cases, strict=True)
    ]


def mean_dice(slices: Slices, maps: Sequence[np.ndarray], num_labels: int) -> float:
    """Dice in percent, mean over foreground labels and then over cases: what searches maximise."""
    return nanmean(
        [
            nanmean([metrics.dice(c.label == k, m == k) for k in range(1, num_labels)])
            for c, m in zip(slices.cases, maps, strict=True)
        ]
    )


def evaluate(
    config: Config,
    slices: Slices,
    maps: Sequence[np.ndarray],
    num_labels: int,
    before: Sequence[np.ndarray] | None = None,
) -> list[dict[str, Any]]:
    """Metrics of every case.

    Args:
        config: slice axis and width of the boundary band.
        slices: the split, with its N cases.
        maps: N predicted label maps.
        num_labels: L.
        before: N label maps of the unaries that a CRF started from; None without a CRF.

    Returns:
        N entries: id, group, all of ``metrics.case_metrics``, and ``changed``, the percentage of
        points whose label the CRF changed (0 without one).
    """
    return [
        {
            "id": case.id,
            "group": case.group,
            **metrics.case_metrics(
                case.label,
                predicted,
                num_labels,
                case.spacing,
                config.boundary_width_mm,
                config.slice_axis,
            ),
            "changed": float(100 * np.mean(predicted != earlier)),
        }
        for case, predicted, earlier in zip(slices.cases, maps, before or maps, strict=True)
    ]
