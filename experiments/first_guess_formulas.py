"""Where the constants of the formulas of `crfrnn.first_guess` come from.

    python -m experiments.first_guess_formulas    # trials, kept in runs/first_guess

They are the constants that take away the largest share of the errors of made-up maps
(experiments/made_up.py), on average over sets and kinds of the "train" cases; "blurred" counts
twice, "coarse" only where it is spoilt. Every trial keeps its gains per set. It may be interrupted
and goes on where it was. How much of the weights is used then is the matter of
experiments/first_guess.py.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from crfrnn.parameters.first_guess import together
from crfrnn.parameters.formulas import CONSTANTS, Constants, formulas
from crfrnn.parameters.scores import nanmean
from experiments.made_up import KINDS, SETS, maps

OFF = dict(
    theta_alpha=1.0, theta_beta=1.0, theta_gamma=1.0, bilateral_weight=0.0, spatial_weight=0.0
)

# Of the constants: lowest, highest, and whether they act by their ratio.
RANGES = {
    "alpha": (0.4, 4.0, True),
    "alpha_detail": (0.0, 1.0, False),
    "alpha_explained": (0.0, 40.0, False),
    "beta": (0.1, 1.0, True),
    "gamma": (0.6, 3.0, True),
    "bilateral": (2.0, 25.0, True),
    "spatial": (0.5, 12.0, True),
    "weight_rough": (0.0, 1.0, False),
}


def fit(folder: Path, trials: int, seconds: float | None) -> None:
    """Makes trials of the constants, or those that are left."""
    import optuna

    study = _study(folder)
    if not study.trials:
        study.enqueue_trial(CONSTANTS._asdict())
    done = sum(trial.state.is_finished() for trial in study.trials)
    study.sampler = optuna.samplers.TPESampler(seed=done, multivariate=True)
    tasks = [(name, kind) for name in SETS for kind in KINDS]
    scorers = {task: maps(task[0], "train", task[1]).scorer() for task in tasks}
    before = {task: nanmean(scorers[task].scores(OFF)) for task in tasks}
    seen = {task: maps(task[0], "train", task[1]).statistics() for task in tasks}

    def objective(trial):
        constants = Constants(
            **{
                name: trial.suggest_float(name, low, high, log=log)
                for name, (low, high, log) in RANGES.items()
            }
        )
        gains = {}
        for task in tasks:
            crf = together([formulas(s, constants) for s in seen[task]])
            gain = nanmean(scorers[task].scores(crf)) - before[task]
            # The share of the errors; 5 points more, so that the best maps do not decide.
            gains[" ".join(task)] = gain / (105 - before[task])
        trial.set_user_attr("gains", gains)
        return float(np.mean([_counted(task, gain) for task, gain in gains.items()]))

    with tqdm(total=trials, initial=done, desc="constants") as bar:
        study.optimize(
            objective, max(trials - done, 0), seconds, callbacks=[lambda *_: bar.update()]
        )
    for trial in sorted(study.trials, key=lambda t: -(t.value or -9))[:8]:
        print(f"{trial.value:.4f}", {name: round(v, 2) for name, v in trial.params.items()})
        print("       ", {name: round(v, 2) for name, v in trial.user_attrs["gains"].items()})


def _study(folder: Path) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    folder.mkdir(parents=True, exist_ok=True)
    journal = optuna.storages.journal.JournalFileBackend(str(folder / "constants.journal"))
    return optuna.create_study(
        study_name="constants",
        direction="maximize",
        storage=optuna.storages.JournalStorage(journal),
        load_if_exists=True,
    )


def _counted(task: str, gain: float) -> float:
    """What a gain counts: noise is what a CRF is for, clean maps are only not to be spoilt."""
    if task.endswith("blurred"):
        return 2 * gain
    return min(gain, 0.0) if task.endswith("coarse") else gain


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/first_guess"))
    parser.add_argument("--trials", type=int, default=300, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, help="stop after so long; the rest next time")
    options = parser.parse_args(arguments)
    fit(options.folder, options.trials, options.seconds)


if __name__ == "__main__":
    main()
