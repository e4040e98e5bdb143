"""The offline CRF: search of its parameters on validation cases, and its use on any."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

import crfrnn
from experiments import runs
from experiments.config import Config
from experiments.inputs import Slices

NORMALIZATION = "after"  # that of CRFRNN, so that both mean the same weights
PARAMETERS = ("theta_alpha", "theta_beta", "theta_gamma", "bilateral_weight", "spatial_weight")


def refine_all(
    slices: Slices,
    unaries: Sequence[np.ndarray],
    crf: Mapping[str, float],
    iterations: int,
) -> list[np.ndarray]:
    """Refine every slice of every case on its own, as the networks see them.

    Args:
        slices: of any split, with N cases.
        unaries: N arrays (D, h, w, L) of logits.
        crf: bandwidths and weights of ``crfrnn.refine``.
        iterations: T.

    Returns:
        N arrays (D, h, w, L) of probabilities.
    """
    with warnings.catch_warnings():
        # Bandwidths that look strange were chosen because they are best on validation cases.
        warnings.filterwarnings("ignore", "theta_beta", UserWarning)
        return [
            np.stack(
                [
                    crfrnn.refine(
                        image,
                        softmax(logits, axis=-1),
                        num_iterations=iterations,
                        normalization=NORMALIZATION,
                        **crf,
                    )
                    for image, logits in zip(images, case_logits, strict=True)
                ]
            )
            for images, case_logits in zip(slices.per_case(slices.images), unaries, strict=True)
        ]


def search(
    config: Config,
    validation: Slices,
    unaries: Sequence[np.ndarray],
    seed: int,
    title: str,
    position: int = 0,
) -> dict[str, Any]:
    """Find the offline CRF with the best validation Dice: `crfrnn.search` on slices.

    Only validation cases enter. The network runs once, before; a trial is only CRF.

    Args:
        config: ranges, number of trials, iterations.
        validation: the validation split, N cases.
        unaries: N arrays (D, h, w, L): logits of the trained U-Net on it.
        seed: of the proposals.
        title, position: of the progress bar.

    Returns:
        ``off``: Dice without CRF; ``best``: parameters of the best CRF tried; ``best_dice``;
        ``use``: whether it beats ``off``; ``trials``: every setting with its Dice, in percent,
        the first one without CRF.
    """
    none = (0.0, 0.0)
    found = crfrnn.search(
        validation.per_case(validation.images),
        [softmax(logits, axis=-1) for logits in unaries],
        validation.per_case(validation.labels),
        slice_axis=0,
        trials=config.search_trials,
        seed=seed,
        ranges={
            "theta_alpha": config.search_theta_alpha,
            "theta_beta": config.search_theta_beta,
            "theta_gamma": config.search_theta_gamma,
            "bilateral_weight": none
            if config.kernels == "spatial"
            else config.search_bilateral_weight,
            "spatial_weight": none
            if config.kernels == "bilateral"
            else config.search_spatial_weight,
        },
        num_iterations=config.crf_test_iterations,
        normalization=NORMALIZATION,
        workers=config.threads,
        progress={"desc": title, "position": position, "leave": False},
        callback=runs.stop_if_orphaned,
    )
    trials = [
        {
            **{name: value for name, value in trial.items() if name in PARAMETERS},
            "dice": trial["score"],
        }
        for trial in found.trials
    ]
    best = max(trials[1:], key=lambda trial: trial["dice"])  # not the first, which is no CRF
    return {
        "off": found.baseline,
        "best": {name: best[name] for name in PARAMETERS},
        "best_dice": best["dice"],
        "use": best["dice"] > found.baseline,
        "trials": trials,
    }
