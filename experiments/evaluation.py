"""From logits of slices to label maps, metrics per case, and the share of points changed."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from scipy.special import softmax

from crfrnn.parameters.scores import nanmean
from experiments import metrics
from experiments.config import Config
from experiments.inputs import Slices
from experiments.training import model_input

TINY = 1e-12  # below any probability that matters; its logarithm is finite

# Of each model, the shapes of the images that it last predicted.
_last_shapes: weakref.WeakKeyDictionary[keras.Model, Any] = weakref.WeakKeyDictionary()


def predict(model: keras.Model, slices: Slices, batch_size: int) -> dict[str, list[np.ndarray]]:
    """Logits of every case, without padding.

    Args:
        model: with the input and output of ``models``.
        slices: of any split.
        batch_size: slices at once.

    Returns:
        "unaries", and "refined" if the model has a CRF: one array (D, h, w, L) per case.
    """
    named = _outputs(model, slices, batch_size)
    # "energy" is the unaries once more.
    kept = (name for name in ("unaries", "refined") if name in named)
    return {name: slices.per_case(named[name]) for name in kept}


def predict_mirrored(model: keras.Model, slices: Slices, batch_size: int) -> list[np.ndarray]:
    """Logits of the mean probability over the four mirrorings of every slice.

    Args:
        model, slices, batch_size: as in `predict`; of a model with a CRF, its refined output.

    Returns:
        One array (D, h, w, L) per case.
    """
    total = None
    for axes in ((), (1,), (2,), (1, 2)):
        mirrored = dataclasses.replace(
            slices,
            images=np.flip(slices.images, axes),
            references=np.flip(slices.references, axes),
        )
        named = _outputs(model, mirrored, batch_size)
        probabilities = softmax(named.get("refined", named["unaries"]), axis=-1)
        probabilities = np.flip(probabilities, axes)
        total = probabilities if total is None else total + probabilities
    return slices.per_case(np.log(np.maximum(total / 4, TINY)))


def _outputs(model: keras.Model, slices: Slices, batch_size: int) -> dict[str, np.ndarray]:
    inputs, number = model_input(model, slices), len(slices.images)
    # TensorFlow keeps one function for all shapes that a model has seen, and the more these are the
    # more general it is: last bits change. A resumed run has not seen the shapes of its first part.
    shapes = (slices.images.shape[1:], min(number, batch_size), number % batch_size > 0)
    if _last_shapes.setdefault(model, shapes) != shapes:
        model.predict_function = None  # Keras makes another
        _last_shapes[model] = shapes
    outputs = model.predict(inputs, batch_size=batch_size, verbose=0)
    named = outputs if isinstance(outputs, dict) else {"unaries": outputs}
    return {name: np.asarray(value) for name, value in named.items()}


def label_maps(slices: Slices, scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The most likely label of every point: scores (D, h, w, L) per case to label maps (*S)."""
    return [
        slices.restore(np.argmax(score, axis=-1).astype("uint8"), case)
        for score, case in zip(scores, slices.cases, strict=True)
    ]


def dice_per_case(slices: Slices, maps: Sequence[np.ndarray], num_labels: int) -> list[float]:
    """Dice in percent, mean over foreground labels, of every case."""
    return [
        nanmean([metrics.dice(c.label == k, m == k) for k in range(1, num_labels)])
        for c, m in zip(slices.cases, maps, strict=True)
    ]


def mean_dice(slices: Slices, maps: Sequence[np.ndarray], num_labels: int) -> float:
    """Dice in percent, mean over cases: what searches maximise."""
    return nanmean(dice_per_case(slices, maps, num_labels))


def evaluate(
    config: Config,
    slices: Slices,
    scores: Sequence[np.ndarray],
    num_labels: int,
    before: Sequence[np.ndarray] | None = None,
) -> list[dict[str, Any]]:
    """Metrics of every case.

    Args:
        config: slice axis and width of the boundary band.
        slices: the split, with its N cases.
        scores: N arrays (D, h, w, L) of logits.
        num_labels: L.
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
                num_labels,
                case.spacing,
                config.boundary_width_mm,
                config.slice_axis,
                probabilities=slices.restore(softmax(score, axis=-1), case),
            ),
            "changed": float(100 * np.mean(predicted != unrefined)),
        }
        for case, score, predicted, unrefined in zip(
            slices.cases, scores, maps, earlier, strict=True
        )
    ]
