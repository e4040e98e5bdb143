"""Where the constants of `crfrnn.first_guess` come from, and how good it is.

    python -m experiments.first_guess fit       # trials of the constants, kept in runs/first_guess
    python -m experiments.first_guess report    # the table, on other cases

Five data sets below $CRFRNN_DATA (data/README.md), three kinds of probability maps with errors:

- blurred: the truth out of focus with smooth noise on its logits (data.corruption.blurred);
- coarse: the truth as a network with an output stride of 4 sees it (data.corruption.coarse);
- classifier: a real classifier's opinion, made of pixel features alone, so that its errors depend
  on the image as a network's do.

`fit` looks for the constants that take away the largest share of the errors, on average over sets
and kinds of the "train" cases; "blurred" counts twice, "coarse" only where it is spoilt. Every
trial keeps its gains per set, so `report` also says what constants chosen on four sets do on the
fifth. `report` uses "test" cases for all rows, and "val" cases to search. Both may be interrupted;
they go on where they were.
"""

from __future__ import annotations

import argparse
import functools
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage, optimize
from scipy.special import log_softmax, softmax
from tqdm import tqdm

import crfrnn
import data
from crfrnn.parameters import first_guess as guess
from crfrnn.parameters import search as parameter_search
from crfrnn.parameters.cases import Cases
from crfrnn.parameters.scores import label_map_score, nanmean
from data import corruption
from experiments import runs
from experiments.show import markdown

SETS = ("hippocampus", "wbc1", "nuclei_stain", "vnc_em", "hc18")
KINDS = ("blurred", "coarse", "classifier")
WINDOW = {
    "vnc_em": (224, 224),
    "hc18": (224, 288),
    "nuclei_stain": (200, 240),
}  # large images are cropped: time
COUNTS = {"train": 3, "val": 5, "test": 10}

# Published settings, for images in 0..255: their theta_beta is divided by 255 here, where images
# are in 0..1. Sources: Zheng et al. 2015 and its Caffe and Keras layers; README of pydensecrf;
# monai.networks.blocks.CRF's default arguments (its weights times its update_factor); the 3-D
# example of SimpleCRF.
PUBLISHED: dict[str, dict[str, Any]] = {
    "CRF-RNN": dict(
        theta_alpha=160.0,
        theta_beta=3 / 255,
        theta_gamma=3.0,
        bilateral_weight=5.0,
        spatial_weight=3.0,
        num_iterations=10,
        normalization="after",
    ),
    "pydensecrf": dict(
        theta_alpha=80.0,
        theta_beta=13 / 255,
        theta_gamma=3.0,
        bilateral_weight=10.0,
        spatial_weight=3.0,
        num_iterations=5,
        normalization="symmetric",
    ),
    "MONAI": dict(
        theta_alpha=5.0,
        theta_beta=0.5,
        theta_gamma=5.0,
        bilateral_weight=3.0,
        spatial_weight=3.0,
        num_iterations=5,
        normalization="after",
    ),
    "SimpleCRF 3-D": dict(
        theta_alpha=5.0,
        theta_beta=5 / 255,
        theta_gamma=5.0,
        bilateral_weight=3.0,
        spatial_weight=2.0,
        num_iterations=2,
        normalization="after",
    ),
}


class Maps(NamedTuple):
    """Cases of one data set and probability maps of one kind for them."""

    cases: Sequence[data.Case]
    probs: Sequence[np.ndarray]

    def statistics(self) -> list[guess.Statistics]:
        pairs = zip(self.cases, self.probs, strict=True)
        return [guess.statistics(case.image, probs) for case, probs in pairs]

    def scorer(self, **options: Any) -> Cases:
        return Cases(
            [case.image for case in self.cases],
            self.probs,
            [case.label for case in self.cases],
            spacing=[case.spacing for case in self.cases],
            **options,
        )


@functools.cache
def load(name: str, part: str) -> list[data.Case]:
    """Cases of a split, spread over it; "classifier" are others of the training split."""
    pool = data.split(data.load(name))["train" if part == "classifier" else part]
    places = np.linspace(0, len(pool), COUNTS.get(part, 8), endpoint=False).astype(int)
    if part == "classifier":
        places = [place for place in range(len(pool)) if place not in _fit_places(len(pool))]
        places = places[:: max(1, len(places) // 8)][:8]
    cases = [pool[place] for place in places]
    return [data.crop(case, WINDOW[name]) for case in cases] if name in WINDOW else cases


def _fit_places(size: int) -> list[int]:
    return np.linspace(0, size, COUNTS["train"], endpoint=False).astype(int).tolist()


@functools.cache
def maps(name: str, part: str, kind: str) -> Maps:
    """Cases with probability maps of one kind."""
    cases, labels = load(name, part), len(data.labels(name))
    volume = cases[0].label.ndim == 3
    if kind == "blurred":
        # Structures of the volumes are about 10 points thick.
        options = dict(blur=1.0, length=1.5) if volume else {}
        make = functools.partial(corruption.blurred, **options)
        probs = [make(case.label, labels, seed=i) for i, case in enumerate(cases)]
    elif kind == "coarse":
        stride = 2 if volume else 4
        probs = [
            corruption.coarse(case.label, labels, stride=stride, seed=i)
            for i, case in enumerate(cases)
        ]
    else:
        predict = classifier(name)
        probs = [predict(case.image) for case in cases]
    return Maps(cases, probs)


@functools.cache
def classifier(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """A softmax regression on random combinations of each point's surroundings.

    Returns:
        A function of an image (*S, K) to probabilities (*S, L).
    """
    rng = np.random.default_rng(0)
    cases, labels = load(name, "classifier"), len(data.labels(name))
    features = [_features(case.image) for case in cases]
    chosen = [rng.choice(len(f), min(len(f), 6000), replace=False) for f in features]
    x = np.concatenate([f[c] for f, c in zip(features, chosen, strict=True)])
    y = np.concatenate([c.label.ravel()[k] for c, k in zip(cases, chosen, strict=True)])
    mean, scale = x.mean(0), x.std(0) + 1e-6
    mixing = rng.standard_normal((x.shape[1], 256), "float32") / np.sqrt(x.shape[1])
    shift = rng.standard_normal(256, "float32")

    def hidden(x):
        x = (x - mean) / scale
        return np.concatenate([np.maximum(x @ mixing + shift, 0), x, np.ones((len(x), 1))], 1)

    h = hidden(x).astype("float64")
    truth = np.eye(labels)[y]

    def loss(flat):
        weights = flat.reshape(-1, labels)
        log_p = log_softmax(h @ weights, axis=1)
        slope = h.T @ (np.exp(log_p) - truth) / len(h) + 1e-3 * weights
        value = -np.sum(log_p * truth) / len(h) + 0.5e-3 * np.sum(weights**2)
        return value, slope.ravel()

    start = np.zeros(h.shape[1] * labels)
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    weights = found.x.reshape(-1, labels)

    def predict(image):
        probs = softmax(hidden(_features(image)) @ weights, axis=1)
        return probs.reshape(*image.shape[:-1], labels).astype("float32")

    return predict


def _features(image: np.ndarray) -> np.ndarray:
    """(N, features): smoothed intensities and gradients at four scales, and where the point is."""
    columns = []
    for channel in np.moveaxis(image, -1, 0):
        for scale in (0.7, 1.5, 3.0, 6.0):
            columns.append(ndimage.gaussian_filter(channel, scale))
            columns.append(ndimage.gaussian_gradient_magnitude(channel, scale))
    axes = [np.linspace(-1, 1, size, dtype="float32") for size in image.shape[:-1]]
    columns += np.meshgrid(*axes, indexing="ij")
    return np.stack([column.ravel() for column in columns], axis=1)


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


def error_reduction(before: float, after: float) -> float:
    """Share of the errors that went away; 5 points more, so that the best maps do not decide."""
    return (after - before) / (105 - before)


def fit(folder: Path, trials: int, seconds: float | None) -> None:
    """Makes trials of the constants, or those that are left."""
    import optuna

    study = _study(folder)
    if not study.trials:
        study.enqueue_trial(guess.CONSTANTS._asdict())
    done = sum(trial.state.is_finished() for trial in study.trials)
    study.sampler = optuna.samplers.TPESampler(seed=done, multivariate=True)
    tasks = [(name, kind) for name in SETS for kind in KINDS]
    scorers = {task: maps(task[0], "train", task[1]).scorer() for task in tasks}
    before = {task: nanmean(scorers[task].scores(_off())) for task in tasks}
    seen = {task: maps(task[0], "train", task[1]).statistics() for task in tasks}

    def objective(trial):
        constants = guess.Constants(
            **{
                name: trial.suggest_float(name, low, high, log=log)
                for name, (low, high, log) in RANGES.items()
            }
        )
        after = {}
        for name, kind in tasks:
            crf = guess.together([guess.formulas(s, constants) for s in seen[name, kind]])
            after[name, kind] = nanmean(scorers[name, kind].scores(crf))
        gains = {" ".join(task): error_reduction(before[task], after[task]) for task in tasks}
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


def left_out(folder: Path) -> dict[str, guess.Constants]:
    """For each set, the constants of the trial that is best on the four others.

    The trials themselves were proposed by gains on all five.
    """
    trials = _study(folder).get_trials(deepcopy=False)

    def elsewhere(trial: Any, name: str) -> float:
        gains = trial.user_attrs["gains"].items()
        return float(np.mean([_counted(task, g) for task, g in gains if not task.startswith(name)]))

    done = [trial for trial in trials if trial.values]
    return {
        name: guess.Constants(**max(done, key=lambda trial: elsewhere(trial, name)).params)
        for name in SETS
    }


def report(folder: Path, output: Path) -> None:
    """Scores all rows on the test cases, prints the table and writes it with the numbers."""
    constants = left_out(folder)
    results: dict[str, Any] = {}
    tasks = [(name, kind) for name in SETS for kind in KINDS]
    for name, kind in tqdm(tasks, desc="report"):
        path = folder / f"{name}-{kind}.json"
        made_with = [guess.CONSTANTS._asdict(), constants[name]._asdict(), runs.commit()]
        found = runs.read_json(path) or {}
        if found.get("made_with") != made_with:
            found = {"made_with": made_with, "dice": rows(name, kind, constants[name])}
            runs.write_json(path, found)
        results[f"{name}, {kind}"] = found["dice"]
    content = {
        "constants": guess.CONSTANTS._asdict(),
        "left_out": {name: found._asdict() for name, found in constants.items()},
        "dice": results,
        **runs.environment(),
    }
    runs.write_json(output, content)
    names = list(next(iter(results.values())))
    lines = [
        [task, *(f"{nanmean(row[name]):.1f}" for name in names)] for task, row in results.items()
    ]
    print(markdown.table(["mean Dice", *names], lines))


def rows(name: str, kind: str, constants: guess.Constants) -> dict[str, list[float]]:
    """Dice of every test case of a set, by row."""
    seen = maps(name, "test", kind)
    statistics, labels = seen.statistics(), len(data.labels(name))
    searched = maps(name, "val", kind)
    found = parameter_search.search(
        [case.image for case in searched.cases],
        searched.probs,
        [case.label for case in searched.cases],
        spacing=[case.spacing for case in searched.cases],
        trials=60,
        progress=False,
    )
    scores: dict[str, list[float]] = {}
    for case, probs, statistic in zip(seen.cases, seen.probs, statistics, strict=True):
        score = label_map_score(case.label, labels)
        crfs = {
            **PUBLISHED,
            "first guess": guess.first_guess(case.image, probs, spacing=case.spacing),
            "constants of the other sets": guess.together(
                [guess.formulas(statistic, constants, spacing=case.spacing)]
            ),
            "searched": found.best,
        }
        scores.setdefault("before", []).append(score(probs.argmax(-1)))
        for row, crf in crfs.items():
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "theta_beta")  # the papers', on some images
                refined = crfrnn.refine(case.image, probs, spacing=case.spacing, **crf)
            scores.setdefault(row, []).append(score(refined.argmax(-1)))
    return scores


def _off() -> dict[str, Any]:
    return {**PUBLISHED["MONAI"], "bilateral_weight": 0.0, "spatial_weight": 0.0}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["fit", "report"])
    parser.add_argument("--folder", type=Path, default=Path("runs/first_guess"))
    parser.add_argument("--trials", type=int, default=300, help="(default: %(default)s)")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("experiments/results/first_guess.json"),
        help="of the report (default: %(default)s)",
    )
    parser.add_argument("--seconds", type=float, help="stop after so long; the rest next time")
    options = parser.parse_args(arguments)
    if options.what == "fit":
        fit(options.folder, options.trials, options.seconds)
    else:
        report(options.folder, options.output)


if __name__ == "__main__":
    main()
