"""From logits to label maps, metrics per case, and the share of points that a CRF changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from crfrnn.parameters.scores import nanmean
from experiments.config import Config
from experiments.score import metrics
from experiments.train.inputs import Slices


def label_maps(slices: Slices, scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The most likely label of every point: scores (slices, *s, L) per case to label maps (*S)."""
    return [
        slices.restore(np.argmax(score, axis=-1).astype("uint8"), case)
        for score, case in zip(scores, slices.cases, strict=True)
    ]


def dice_per_case(slices: Slices, scores: Sequence[np.ndarray]) -> list[float]:
    """Dice in percent, mean over foreground labels, of every case; scores as in `score_cases`."""
    pairs, count = zip(slices.cases, label_maps(slices, scores), strict=True), scores[0].shape[-1]
    return [
        nanmean([metrics.dice(*two) for two in case.masks(map_, count)]) for case, map_ in pairs
    ]


def mean_dice(slices: Slices, scores: Sequence[np.ndarray]) -> float:
    """Dice in percent, mean over cases: what searches maximise."""
    return nanmean(dice_per_case(slices, scores))


def score_cases(
    config: Config,
    slices: Slices,
    scores: Sequence[np.ndarray],
    before: Sequence[np.ndarray] | None = None,
) -> list[dict[str, Any]]:
    """Metrics of every case.

    Args:
        config: slice axis and width of the boundary band.
        slices: the split, with its N cases.
        scores: N arrays (slices, *s, L) of logits.
        before: the scores that a CRF started from; None without a CRF.

    Returns:
        N entries: id, group, all of ``metrics.case_metrics``, and ``changed``, the percentage of
        points whose label the CRF changed (0 without one).
    """
    maps = label_maps(slices, scores)
    earlier = maps if before is None else label_maps(slices, before)
    return [
        {
            "id": case.id,
            "group": case.group,
            **metrics.case_metrics(
                case.label,
                predicted,
                score.shape[-1],
                case.spacing,
                config.boundary_width_mm,
                config.slice_axis,
                probabilities=slices.restore(softmax(score, axis=-1), case),
                ignore=case.ignore,
                background=case.background,
            ),
            "changed": float(100 * np.mean(predicted != unrefined)),
        }
        for case, score, predicted, unrefined in zip(
            slices.cases, scores, maps, earlier, strict=True
        )
    ]
