"""Search of the CRF's parameters on validation cases; public as `crfrnn.search`."""

from __future__ import annotations

import contextlib
import hashlib
import math
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crfrnn import checks
from crfrnn.meanfield.positions import check_positive
from crfrnn.parameters import cases as validation
from crfrnn.parameters.cases import Cases, Gain
from crfrnn.parameters.first_guess import first_guess
from crfrnn.parameters.scores import nanmean

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure

THETAS = ("theta_alpha", "theta_beta", "theta_gamma")
WEIGHTS = ("bilateral_weight", "spatial_weight")
_FEWEST = 6  # groups; see `validation.Gain`
OFF = {"bilateral_weight": 0.0, "spatial_weight": 0.0}

# What the first guess is multiplied by, at least and at most: wide enough for what suits noisy maps
# as well as those of well trained networks, narrow enough for a hundred trials.
FACTORS = {
    "theta_alpha": (1 / 4, 8.0),
    "theta_beta": (1 / 5, 5.0),
    "theta_gamma": (3 / 4, 5.0),
    "bilateral_weight": (0.0, 4.0),
    "spatial_weight": (0.0, 4.0),
}
# Clean maps get a first guess with small weights, but a search should try usual ones too.
_USUAL_WEIGHT = 10.0


@dataclass(frozen=True)
class SearchResult:
    """What `search` found; `print` it, `plot` it, and pass `best` on.

    Attributes:
        best: arguments of the best trial, as they are for `refine` and `CRFRNN`. Where the first
            trial is the best, both weights are 0: `refine` then changes nothing.
        score: its score, percent: the mean over the cases it was chosen on, so optimistic.
        baseline: score without CRF. guess_score: score of the first guess.
        gain: `validation.Gain` in percent points over no CRF, on cases that had no part in the
            choice: for each group of cases, the trial that is best on all *other* groups is scored
            on it.
        trials: for each trial its arguments and "score", in the order they were made.
        study: Optuna's study, for its own plots and tables.
        interrupted: whether Ctrl-C ended the search early.
    """

    best: dict[str, Any]
    score: float
    baseline: float
    guess_score: float
    gain: Gain
    trials: list[dict[str, Any]] = field(repr=False)
    study: optuna.Study = field(repr=False)
    interrupted: bool = False

    @property
    def helps(self) -> bool:
        """Whether the gain is beyond what the choice of the cases may explain (95 %)."""
        return self.gain.interval[0] > 0 and self.gain.p_value < 1 - validation.CONFIDENCE

    def plot(self) -> Figure:
        """A figure of what mattered: progress, importances, and the score along each parameter.

        Needs Matplotlib. Nothing is shown or saved: a notebook shows the figure it gets,
        `figure.savefig("search.png")` saves it.
        """
        from crfrnn.parameters import search_plot

        return search_plot.draw(self)

    def __str__(self) -> str:
        best = ", ".join(f"{name}={_short(value)}" for name, value in self.best.items())
        low, high = self.gain.interval
        held_out = f"{self.gain.mean:+.2f}"
        if not math.isnan(low):
            held_out += f" [{low:+.2f}, {high:+.2f}], p = {self.gain.p_value:.2g}"
        if self.helps:
            verdict = "A CRF helps here."
        elif self.gain.groups < _FEWEST and self.gain.mean > 0:
            verdict = f"Too few cases for proof: search on {_FEWEST} or more."
        else:
            verdict = "Not beyond chance: leave the CRF out, or search on more cases."
        return (
            f"{len(self.trials)} trials{', interrupted' if self.interrupted else ''}. "
            f"Without CRF {self.baseline:.2f}, first guess {self.guess_score:.2f}, "
            f"best {self.score:.2f}.\n"
            f"Gain on cases that had no part in the choice: {held_out}. {verdict}\n"
            f"{best}"
        )


def search(
    images: Sequence[np.ndarray],
    probs: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    *,
    metric: str = "dice",
    trials: int = 100,
    seed: int = 0,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    spacing: Any = None,
    slice_axis: int | None = None,
    groups: Sequence[Hashable] | None = None,
    num_iterations: int = 5,
    normalization: str = "after",
    width: float = 2.0,
    workers: int | None = None,
    storage: str | Path | None = None,
    progress: bool | Mapping[str, Any] | None = None,
    callback: Callable[[], None] | None = None,
) -> SearchResult:
    """Finds the CRF that refines the probabilities of validation cases best.

    The first two trials are no CRF and the first guess; then a tree-structured Parzen estimator
    proposes. The same arguments give the same trials, whatever the number of workers and however
    often the search was interrupted.

    Use cases that the network was not trained on, else its probabilities are too good, and report
    results on cases that were not searched on, else the report is. `SearchResult.gain` foretells
    such a report: no case enters both the choice and its score there. (All cases guided which
    trials were made; the bias of that is small.)

    Args:
        images: N images (*S,) or (*S, K), any real dtype; sizes may differ from case to case. One
            theta_beta serves them all: bring volumes of different intensity scales to one.
        probs: N arrays (*S, L), probabilities of the network to be refined.
        labels: N integer arrays (*S), the truth, 0..L-1; 0 is the background.
        metric: "dice", "iou" or "boundary" (Dice within `width` of the true boundary): the mean
            over foreground labels, then over cases.
        trials: how many CRFs to try, both first trials included.
        seed: of the proposals.
        ranges: lowest and highest value of some of theta_alpha, theta_beta, theta_gamma (> 0),
            bilateral_weight, spatial_weight (>= 0; 0 is always tried, and (0, 0) leaves the kernel
            out). Default: multiples of the first guess, `FACTORS`. With several channels the range
            of theta_beta is that of the geometric mean; their proportions are those of the first
            guess.
        spacing: distance of neighbouring points, (S,) for all cases or N of these; default 1.
        slice_axis: refine each slice across this axis by itself, as a 2-D network would, but score
            whole volumes; None: refine volumes as such.
        groups: N names of what belongs together (patients), for `SearchResult.gain`; None: every
            case on its own.
        num_iterations, normalization: of the CRF; see `refine`.
        width: of "boundary", in points or the unit of `spacing`.
        workers: threads; None: as many as there are cores.
        storage: file that keeps the trials, so that the same call goes on where it was: SQLite if
            its name ends in .db, .sqlite or .sqlite3, else Optuna's journal. None: memory.
        progress: whether to show a progress bar, or arguments of tqdm for it; None: on terminals
            only.
        callback: called after every trial; may raise to end the search.

    Returns:
        `SearchResult`. Ctrl-C after the first two trials returns the best so far.

    Raises:
        ModuleNotFoundError: Optuna or SciPy is not installed.
        ValueError: cases that do not fit together, no foreground, malformed ranges, or a storage
            that holds another search.

    Reference:
        J. Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011. T. Akiba et
        al., "Optuna", KDD 2019.

    Example:

    >>> from crfrnn import refine
    >>> truth = np.zeros((2, 24, 20), int)
    >>> truth[0, 6:18, 4:14] = truth[1, 4:12, 6:18] = 1
    >>> rng = np.random.default_rng(0)
    >>> images = truth + rng.normal(0, 0.1, truth.shape)
    >>> p = np.clip(0.5 + 0.4 * (truth - 0.5) + rng.normal(0, 0.2, truth.shape), 0.01, 0.99)
    >>> found = search(images, np.stack([1 - p, p], -1), truth, trials=8, progress=False)
    >>> found.score > found.baseline + 5
    True
    >>> refined = refine(images[0], np.stack([1 - p, p], -1)[0], **found.best)
    """
    optuna = _optuna()
    checks.whole("trials", trials, 2)
    checks.whole("num_iterations", num_iterations, 0)
    checks.whole("workers", 1 if workers is None else workers, 1)
    check_positive("width", width)
    for name, cases_of in dict(images=images, probs=probs, labels=labels).items():
        if cases_of is None or isinstance(cases_of, str):
            raise ValueError(f"Expected `{name}` to be a list of arrays. Received {cases_of!r}.")
    options = dict(
        metric=metric,
        width=width,
        spacing=spacing,
        slice_axis=slice_axis,
        num_iterations=num_iterations,
        normalization=normalization,
    )
    groups = range(len(labels)) if groups is None else groups
    if len(groups) != len(labels):
        raise ValueError(f"Expected {len(labels)} `groups`. Received {len(groups)}.")
    cases = Cases(images, probs, labels, **options, workers=workers)
    if not any(np.any(truth) for truth in labels):
        raise ValueError("Expected labels with some foreground. Received none but 0.")
    guess = {
        **first_guess(list(images), list(probs), spacing=spacing),
        "num_iterations": num_iterations,
        "normalization": normalization,
    }
    limits = _limits(guess, ranges or {})
    # The first guess lies within the ranges, also those of a user who knows better.
    first = {name: float(np.clip(level(guess[name]), *limits[name])) for name in limits}
    queue = [{**first, **OFF}, first]

    def arguments(parameters: Mapping[str, float]) -> dict[str, Any]:
        """A trial's parameters as arguments of `refine`."""
        rounded: dict[str, Any] = {name: _two_digits(value) for name, value in parameters.items()}
        if np.ndim(guess["theta_beta"]):
            proportions = np.divide(guess["theta_beta"], level(guess["theta_beta"]))
            rounded["theta_beta"] = [
                _two_digits(rounded["theta_beta"] * share) for share in proportions
            ]
        return {**guess, **rounded}

    identity = dict(seed=seed, limits=limits, **options)
    with _quiet(optuna), contextlib.closing(cases):
        study = _open(optuna, storage, repr(identity) + _digest(images, probs, labels))
        interrupted = _run(
            study, cases, arguments, queue, limits, trials, seed, _bar_options(progress), callback
        )
    return _result(study, groups, interrupted)


def _run(
    study: optuna.Study,
    cases: Cases,
    arguments: Any,
    queue: Sequence[Mapping[str, float]],
    limits: Mapping[str, tuple[float, float]],
    trials: int,
    seed: int,
    bar_options: Mapping[str, Any],
    callback: Callable[[], None] | None,
) -> bool:
    """Makes the trials that are left; returns whether Ctrl-C stopped it."""
    import optuna
    from tqdm import tqdm

    done = _complete(study)
    with tqdm(total=trials, initial=len(done), **bar_options) as bar:
        for number in range(len(done), trials):
            # A sampler of its own: proposals depend on the trials before, not on interruptions.
            (state,) = np.random.SeedSequence([seed, number]).generate_state(1)
            study.sampler = optuna.samplers.TPESampler(seed=int(state), multivariate=True)
            waiting = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
            if number < len(queue) and not waiting:  # else the process was killed right here
                study.enqueue_trial(dict(queue[number]))
            trial = study.ask()
            try:
                crf = arguments(
                    {
                        name: trial.suggest_float(name, *limits[name], log=name in THETAS)
                        for name in limits
                    }
                )
                scores = cases.scores(crf)
                trial.set_user_attr("arguments", crf)
                trial.set_user_attr("scores", [float(score) for score in scores])
                study.tell(trial, nanmean(scores))
            except BaseException as error:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                if isinstance(error, KeyboardInterrupt) and number >= len(queue):
                    return True
                raise
            before = _complete(study)[0].values[0]
            gain = f"{study.best_value - before:+.2f}"
            bar.set_postfix(before=f"{before:.2f}", gain=gain, refresh=False)
            bar.update()
            if callback is not None:
                callback()
    return False


def _result(study: optuna.Study, groups: Sequence[Hashable], interrupted: bool) -> SearchResult:
    done = _complete(study)
    scores = np.array([trial.user_attrs["scores"] for trial in done])  # (trials, N)
    means = np.array([trial.values[0] for trial in done])
    best = int(means.argmax())
    return SearchResult(
        best=dict(done[best].user_attrs["arguments"]),
        score=float(means[best]),
        baseline=float(means[0]),
        guess_score=float(means[1]),
        gain=validation.gain(scores[0], _held_out(scores, groups), groups),
        trials=[{**t.user_attrs["arguments"], "score": t.value} for t in done],
        study=study,
        interrupted=interrupted,
    )


def _held_out(scores: np.ndarray, groups: Sequence[Hashable]) -> np.ndarray:
    """The score of each case under the trial that is best on all cases of other groups.

    scores: (trials, N), trial 0 without CRF. Returns (N,); with a single group, that of trial 0.
    """
    names = np.array(list(groups), dtype=str)
    held_out = scores[0].copy()
    for group in np.unique(names):
        inside = names == group
        others = [nanmean(row) for row in scores[:, ~inside]]
        if not np.isnan(others[0]):
            held_out[inside] = scores[int(np.argmax(others)), inside]
    return held_out


def _limits(
    guess: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of every parameter."""
    unknown = sorted(set(ranges) - set(FACTORS))
    if unknown:
        raise ValueError(f"Expected `ranges` of {', '.join(FACTORS)}. Received {unknown[0]!r}.")
    limits = {}
    for name, factors in FACTORS.items():
        low, high = (level(guess[name]) * factor for factor in factors)
        if name in WEIGHTS:
            high = max(high, _USUAL_WEIGHT)
        low, high = ranges.get(name, (low, high))
        if name in WEIGHTS:
            low = min(low, 0.0)  # no CRF, the first trial, is always in reach
        left_out = name in WEIGHTS and low == high == 0
        ordered = low < high < math.inf and (low > 0 or (name in WEIGHTS and low == 0))
        if not (ordered or left_out):
            raise ValueError(
                f"Expected a range of {name} with 0 <{'=' * (name in WEIGHTS)} lowest < highest"
                f"{', or 0, 0 to leave the kernel out' * (name in WEIGHTS)}. "
                f"Received {ranges.get(name)}."
            )
        limits[name] = (float(low), float(high))
    return limits


def _open(optuna: Any, storage: str | Path | None, identity: str) -> optuna.Study:
    """The study in a file, new or taken up; ValueError if it is that of another search."""
    backend = None
    if storage is not None:
        path = Path(storage)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".db", ".sqlite", ".sqlite3"):
            backend = f"sqlite:///{path}"
        else:
            journal = optuna.storages.journal
            backend = optuna.storages.JournalStorage(journal.JournalFileBackend(str(path)))
    study = optuna.create_study(
        study_name="crfrnn", direction="maximize", storage=backend, load_if_exists=True
    )
    digest = hashlib.sha256(identity.encode()).hexdigest()
    if study.user_attrs.setdefault("identity", digest) != digest:
        raise ValueError(
            f"{storage} holds a search of other cases or settings. Give another file, or delete it."
        )
    study.set_user_attr("identity", digest)
    running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    for trial in running:  # its process was killed
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _bar_options(progress: bool | Mapping[str, Any] | None) -> dict[str, Any]:
    if isinstance(progress, Mapping):
        return {"desc": "CRF search", "disable": None, **progress}
    return {"desc": "CRF search", "disable": None if progress is None else not progress}


def _complete(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]


def _digest(*lists: Sequence[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for arrays in lists:
        for array in map(np.ascontiguousarray, arrays):
            digest.update(f"{array.shape} {array.dtype}".encode())
            digest.update(array.data)
    return digest.hexdigest()


def level(value: Any) -> float:
    """A number, or the geometric mean of one per channel."""
    return float(np.exp(np.mean(np.log(value)))) if np.ndim(value) else float(value)


def _two_digits(value: float) -> float:
    """Two significant digits: more mean nothing, and equal thetas can share a lattice."""
    return float(f"{value:.2g}")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _optuna() -> Any:
    try:
        import optuna
        import scipy  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"crfrnn.search needs {error.name}, which is not installed: "
            "pip install 'crfrnn[search]' (in a clone: '.[search]')"
        ) from error
    return optuna


@contextlib.contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without Optuna's line per trial and its notes on what is experimental."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
