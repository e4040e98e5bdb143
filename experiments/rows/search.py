"""The search of a CRF's parameters on the validation cases, which only looks at those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

import crfrnn
from crfrnn.meanfield.parameters import NAMES
from experiments import progress
from experiments.config import Config
from experiments.train.inputs import VOID, Slices

if TYPE_CHECKING:
    from experiments.rows.kind import Kind

NORMALIZATION = "after"  # that of CRFRNN, so that both mean the same weights
SEARCHED = ("kernels", "crf_test_iterations")  # a row with one of its own has a search of its own


def of_row(row: Kind) -> dict[str, Any]:
    """The offline CRF for the scores of the row that a row rests on: given, or searched once."""
    (of,), config, bench = row.of, row.config, row.bench
    if config.crf:
        return {"best": dict(zip(NAMES, config.crf, strict=True)), "use": True}
    own = any(name in SEARCHED or name.startswith("search") for name in row.row.settings)
    # Two dashes: a row may be called "features".
    compared = "" if config.reference == "image" else f"--{config.reference}"
    return bench.kept(
        f"search-{of.key}{compared}{f'-{row.key}' if own else ''}",
        lambda: search(
            config,
            of.inputs.validation,
            row.references("validation"),
            of.scores("validation"),
            bench.seed,
            callback=bench.alive,
            title=f"{bench.title}: search",
            position=bench.seed,
        ),
    )


def search(
    config: Config,
    validation: Slices,
    references: Sequence[np.ndarray],
    unaries: Sequence[np.ndarray],
    seed: int,
    callback: Callable[[], None] = lambda: None,
    *,
    title: str = "search",
    position: int = 0,
) -> dict[str, Any]:
    """Find the offline CRF with the best validation Dice: `crfrnn.search` on slices.

    Args:
        config: ranges, number of trials, iterations.
        validation, references, unaries: N cases, N arrays (slices, *s, K) of what is compared, and
            N arrays (slices, *s, L) of logits: a trial is only CRF.
        seed: of the proposals.
        callback: called after each trial.
        title, position: of the progress bar; see `progress.steps`.

    Returns:
        ``off``: Dice without CRF; ``best``: parameters of the best CRF tried; ``best_dice``;
        ``use``: whether it beats ``off``; ``trials``: every setting with its Dice, in percent,
        the first one without CRF.
    """
    ranges = {name: getattr(config, f"search_{name}") for name in NAMES}
    if config.kernels != "both":
        ranges["spatial_weight" if config.kernels == "bilateral" else "bilateral_weight"] = 0.0, 0.0
    whole = validation.axis is None
    with progress.steps(config.search_trials, title=title, position=position) as bar:

        def tried() -> None:
            bar.update()
            callback()

        probs = [softmax(logits, axis=-1) for logits in unaries]
        labels = validation.per_case(validation.labels)
        # Volumes that are whole are slices of their own, and those of images lie across axis 0.
        cases = [
            [one[0] for one in part] if whole else part for part in (references, probs, labels)
        ]
        found = crfrnn.search(
            *cases,
            **_counted(validation),
            slice_axis=None if whole else 0,
            trials=config.search_trials,
            seed=seed,
            ranges=ranges,
            num_iterations=config.crf_test_iterations,
            normalization=NORMALIZATION,
            workers=config.threads,
            progress=False,
            callback=tried,
        )
    trials = [
        {**{name: trial[name] for name in trial if name in NAMES}, "dice": trial["score"]}
        for trial in found.trials
    ]
    # Weights of 0, of the first trial and of a first guess that advises against a CRF, are no CRF.
    fields = [one for one in trials if one["bilateral_weight"] or one["spatial_weight"]]
    best = max(fields or trials, key=lambda trial: trial["dice"])
    dice, crf = best["dice"], {name: best[name] for name in NAMES}
    use = dice > found.baseline
    return {"off": found.baseline, "best": crf, "best_dice": dice, "use": use, "trials": trials}


def _counted(slices: Slices) -> dict[str, Any]:
    """What scores are about, as `crfrnn.search` takes it: all labels, where none is background."""
    metric = {"metric": "mdice" if slices.cases[0].background is None else "dice"}
    unlabelled = any(case.ignore is not None for case in slices.cases)
    return {**metric, **({"unknown": VOID} if unlabelled else {})}


def chosen(found: dict[str, Any]) -> dict[str, Any]:
    """What a search chose; search-*.json has the trials."""
    return {name: value for name, value in found.items() if name != "trials"}
