"""Which rule of trust the validation cases speak for; see `experiments.first_guess`."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import crfrnn
from crfrnn.parameters import scores, trust
from crfrnn.parameters.agreement import agreement, nearness
from crfrnn.parameters.first_guess import together
from crfrnn.parameters.formulas import formulas
from crfrnn.parameters.measures import statistics
from crfrnn.parameters.scores import nanmean
from crfrnn.parameters.trust import Shown
from experiments import runs, unaries
from experiments.unaries import Unaries

WEIGHTS = (0.2, 0.5, 1.2, 3.0, 7.0, 16.0)  # of the bilateral kernel, tried on validation cases
LOSS_COUNTS, MOST, NEARLY = 3.0, 5.0, 0.9

# Made when the rule had been chosen: unseen data, of which `fit` must not know.
UNSEEN = {
    *((name, "good") for name in ("vnc_em", "hc18", "camvid", "hippocampus")),
    ("hippocampus", "weak"),
    *((name, "segnet") for name in unaries.SETS),
}


def tasks(folder: Path) -> list[tuple[str, str]]:
    """Sets and networks whose probabilities have been made, so that parts can be looked at."""
    every = [(name, quality) for name in unaries.SETS for quality in unaries.QUALITIES]
    return [task for task in every if (folder / f"{task[0]}-{task[1]}-test.npz").exists()]


class Rule(NamedTuple):
    """What `fit` chooses; see above."""

    strength: float
    lowest: float
    full: float
    more: float


GRID = [
    Rule(*numbers)
    for numbers in itertools.product(
        (0.1, 0.2, 0.35, 0.5, 0.7, 1.0),
        (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9),
        (0.75, 0.8, 0.85, 0.9, 0.95, 1.0),
        (0.0, 0.02, 0.04, 0.06, 0.08, 0.1),
    )
    if numbers[1] < numbers[2]
]


def dice(truth: np.ndarray, prediction: np.ndarray, background: int | None) -> float:
    """Mean Dice, percent, over the labels that occur in the truth, but for the background.

    Example:
        >>> dice(np.array([0, 1, 1, 255]), np.array([0, 1, 2, 1]), background=0)
        66.66666666666667
    """
    counts = truth != unaries.IGNORE
    truth, prediction = truth[counts], prediction[counts]
    labels = [label for label in np.unique(truth) if label != background]
    return nanmean([scores.dice(truth == label, prediction == label) for label in labels])


def refined(cases: Unaries, i: int, crf: Mapping[str, Any]) -> float:
    """Dice of a case after a CRF."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "theta_beta")  # the papers', on some images
        probs = crfrnn.refine(cases.images[i], cases.probs[i], spacing=cases.spacing[i], **crf)
    return dice(cases.labels[i], probs.argmax(-1), cases.background)


def untrusted(cases: Unaries, i: int) -> dict[str, Any]:
    """What the formulas say of a case, without the rule, and the agreement."""
    image, probs, spacing = cases.images[i], cases.probs[i], cases.spacing[i]
    measured = statistics(image, probs)
    crf = together([formulas(measured, spacing=spacing)])
    kernel = dict(theta_alpha=crf["theta_alpha"], theta_beta=crf["theta_beta"], spacing=spacing)
    agrees = agreement(image, probs, **kernel)
    del kernel["theta_beta"]
    shown = Shown(agrees, nearness(probs, **kernel), measured.roughness)
    return {"crf": crf, **shown._asdict()}


def lines(name: str, quality: str, folder: Path) -> list[dict[str, Any]]:
    """Of each validation case: agreement, the formulas' weight, and what `WEIGHTS` would gain."""
    path = folder / f"{name}-{quality}-val.json"
    kept = runs.read_json(path)
    found = kept and kept["cases"]
    if found is None:
        cases, found = unaries.load(name, quality, "val", folder), []
        for i, label in enumerate(cases.labels):
            seen = untrusted(cases, i)
            before = dice(label, cases.probs[i].argmax(-1), cases.background)
            gains = [refined(cases, i, _weighted(seen["crf"], w)) - before for w in WEIGHTS]
            weight = seen["crf"]["bilateral_weight"]
            measured = {name: seen[name] for name in Shown._fields}
            found.append({**measured, "weight": weight, "gains": gains})
        runs.write_json(path, {"cases": found})
    return found


def _weighted(crf: Mapping[str, Any], weight: float) -> dict[str, Any]:
    """The CRF with this bilateral weight, the spatial weight in proportion."""
    spatial = weight * crf["spatial_weight"] / crf["bilateral_weight"]
    return {**crf, "bilateral_weight": weight, "spatial_weight": spatial}


def share(rule: Rule, seen: Mapping[str, Any]) -> float:
    """What a rule leaves of the formulas' weights."""
    shown = Shown(seen["agreement"], seen["nearness"], roughness=0.0)
    return rule.strength * trust.trust(shown, rule.lowest, rule.full, rule.more)


def gain(rule: Rule, cases: Sequence[Mapping[str, Any]]) -> float:
    """Mean gain of a rule on validation cases, between the weights that were tried."""
    tried = np.log1p([0.0, *WEIGHTS])
    weights = [c["weight"] * share(rule, c) for c in cases]
    return nanmean(
        [
            np.interp(np.log1p(w), tried, [0.0, *c["gains"]])
            for w, c in zip(weights, cases, strict=True)
        ]
    )


def fit(folder: Path, without: str | None = None) -> Rule:
    """The strictest rule that is nearly the best on the validation cases of all sets but one."""
    seen = [task for task in tasks(folder) if task not in UNSEEN and task[0] != without]
    cases = [lines(*task, folder) for task in seen]

    def worth(rule: Rule) -> float:
        gains = np.array([gain(rule, some) for some in cases])
        return float(np.mean(np.where(gains < 0, LOSS_COUNTS * gains, np.minimum(gains, MOST))))

    worths = {rule: worth(rule) for rule in GRID}
    good = [rule for rule in GRID if worths[rule] >= NEARLY * max(worths.values())]
    strictest = max(rule.lowest + rule.more for rule in good)
    chosen = [rule for rule in good if rule.lowest + rule.more == strictest]
    return max(chosen, key=worths.__getitem__)


def guessed(cases: Unaries, i: int, rule: Rule) -> dict[str, Any]:
    """The guess of another rule."""
    seen = untrusted(cases, i)
    return _weighted(seen["crf"], seen["crf"]["bilateral_weight"] * share(rule, seen))
