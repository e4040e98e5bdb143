"""The offline CRF: search of its parameters on validation cases, and its use on any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from scipy.special import softmax
from tqdm import tqdm

import crfrnn
from experiments import runs
from experiments.config import Config
from experiments.evaluation import label_maps, mean_dice
from experiments.inputs import Slices


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
    return [
        np.stack(
            [
                crfrnn.refine(
                    image,
                    softmax(logits, axis=-1),
                    num_iterations=iterations,
                    normalization="after",  # that of CRFRNN, so that both mean the same weights
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
    num_labels: int,
    seed: int,
    title: str,
    position: int = 0,
) -> dict[str, Any]:
    """Find the offline CRF with the best validation Dice.

    Only validation cases enter. The network runs once, before; a trial is only CRF. Optuna's
    tree-structured Parzen estimator, seeded, one trial after the other: the same trials every time.

    Args:
        config: ranges, number of trials, iterations.
        validation: the validation split, N cases.
        unaries: N arrays (D, h, w, L): logits of the trained U-Net on it.
        num_labels: L.
        seed: of the sampler.
        title, position: of the progress bar.

    Returns:
        ``off``: Dice without CRF; ``best``: parameters of the best CRF tried; ``best_dice``;
        ``use``: whether it beats ``off``; ``trials``: every setting with its Dice, in percent.
    """
    ranges = {
        "theta_alpha": config.search_theta_alpha,
        "theta_beta": config.search_theta_beta,
        "theta_gamma": config.search_theta_gamma,
        "bilateral_weight": config.search_bilateral_weight,
        "spatial_weight": config.search_spatial_weight,
    }

    def objective(trial: optuna.Trial) -> float:
        # Bandwidths act by their ratio; weights may be 0, which switches a kernel off.
        crf = {
            name: trial.suggest_float(name, low, high, log=name.startswith("theta"))
            for name, (low, high) in ranges.items()
        }
        refined = refine_all(validation, unaries, crf, config.crf_test_iterations)
        return mean_dice(validation, label_maps(validation, refined), num_labels)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True)
    )
    middle = {name: float(np.sqrt(low * high)) for name, (low, high) in ranges.items() if low > 0}
    study.enqueue_trial({**middle, "bilateral_weight": 0.0, "spatial_weight": 1.0})
    off = mean_dice(validation, label_maps(validation, unaries), num_labels)
    with tqdm(
        total=config.search_trials, desc=title, position=position, leave=False, disable=None
    ) as bar:
        for _ in range(config.search_trials):
            study.optimize(objective, n_trials=1)
            runs.stop_if_orphaned()
            bar.update()
            bar.set_postfix(gain=f"{study.best_value - off:+.2f}")
    return {
        "off": off,
        "best": study.best_params,
        "best_dice": study.best_value,
        "use": study.best_value > off,
        "trials": [{**trial.params, "dice": trial.value} for trial in study.trials],
    }
