"""Search of the CRF's parameters on validation cases; public as `crfrnn.search`."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crfrnn import checks
from crfrnn.checks import Choice, Listed, Named, Reals, Whole
from crfrnn.filtering.normalized import NORMALIZATIONS
from crfrnn.meanfield.parameters import ITERATIONS, THETAS, WEIGHTS
from crfrnn.parameters.cases import Cases
from crfrnn.parameters.first_guess import first_guess
from crfrnn.parameters.metrics import METRICS, default
from crfrnn.parameters.ranges import level, limits_of, two_digits
from crfrnn.parameters.seals import keep
from crfrnn.parameters.search_result import SearchResult, result_of
from crfrnn.parameters.slots import beating, complete, next_trial
from crfrnn.parameters.trials import MOST_TRIALS, digest_of, needed_optuna, open_study, quiet

if TYPE_CHECKING:
    import optuna

OFF = dict.fromkeys(WEIGHTS, 0.0)


# Share that labels absent from the truth of a case may have in its score.
_MOST_ABSENT = 1 / 4


@checks.renamed(mask="masks")
@checks.door(
    images=Listed("arrays"),
    probs=Listed("arrays"),
    labels=Listed("arrays"),
    metric=Choice(("auto", *METRICS)),
    trials=Whole(2, MOST_TRIALS),
    num_iterations=ITERATIONS,
    normalization=Choice(NORMALIZATIONS),
    ignore_below=Reals(least=0),
    width=Reals(above=0),
    seed=Whole(0),
    ranges=Named("pairs (lowest, highest)", optional=True),
    slice_axis=Whole(0, most=2, optional=True),
    groups=Listed("names", optional=True),
    masks=Listed("masks", optional=True),
    unknown=Whole(None, optional=True),
    workers=Whole(1, optional=True),
)
def search(
    images: Sequence[np.ndarray],
    probs: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    *,
    metric: str = "auto",
    trials: int = 100,
    seed: int = 0,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    spacing: Any = None,
    slice_axis: int | None = None,
    groups: Sequence[Hashable] | None = None,
    num_iterations: int = 5,
    normalization: str = "after",
    ignore_below: float = 0.0,
    width: float = 2.0,
    masks: Sequence[np.ndarray | None] | None = None,
    unknown: int | None = None,
    workers: int | None = None,
    storage: str | Path | None = None,
    progress: bool | Mapping[str, Any] | None = None,
    callback: Callable[[], None] | None = None,
) -> SearchResult:
    """Finds the CRF that refines the probabilities of validation cases best.

    The first two trials are no CRF and the first guess; then a tree-structured Parzen estimator
    proposes. The same arguments give the same trials, whatever the number of workers and however
    often the search was interrupted. Several processes that share a `storage` make them together:
    no trial twice, those of one that dies again, and all return the same; what is proposed then
    depends on which trials are done when.

    Use cases that the network was not trained on, else its probabilities are too good, and report
    results on cases that were not searched on, else the report is. `SearchResult.gain` foretells
    such a report: no case enters both the choice and its score there. (All cases guided which
    trials were made; the bias of that is small.)

    Args:
        images: N images (*S,) or (*S, K), any real dtype; sizes may differ from case to case. One
            theta_beta serves them all: bring volumes of different intensity scales to one.
        probs: N arrays (*S, L), probabilities of the network to be refined.
        labels: N integer arrays (*S), the truth, 0..L-1, or `unknown`; 0 is the background.
        metric: "dice", "iou" or "boundary" (Dice within `width` of the true boundary): the mean
            over the foreground labels of a case, then over cases. "mdice", "miou": the points of
            all cases are counted together, and the mean is over all labels in the truth, label 0
            too. "auto": "dice" for up to three labels, else "mdice".
        trials: how many CRFs to try, both first trials included.
        seed: of the proposals.
        ranges: lowest and highest value of some of theta_alpha, theta_beta, theta_gamma (> 0),
            bilateral_weight, spatial_weight (>= 0; 0 is always tried, and (0, 0) leaves the kernel
            out). Default: multiples of the first guess, `ranges.FACTORS`. With several channels
            the range of theta_beta is that of the geometric mean; their proportions are those of
            the first guess.
        spacing: distance of neighbouring points, (S,) for all cases or N of these; default 1.
        slice_axis: refine each slice across this axis by itself, as a 2-D network would, but score
            whole volumes; None: refine volumes as such.
        groups: N names of what belongs together (patients), for `SearchResult.gain`; None: every
            case on its own.
        num_iterations, normalization, ignore_below: of the CRF; see `refine`.
        width: of "boundary", in points or the unit of `spacing`.
        masks: N masks (*S) of bool, or None: True for the points that take part; the others have no
            part in any kernel and do not count in scores. Or `mask`, as `refine` calls its one.
        unknown: the value of points without a label, often 255: they take part in the CRF, and do
            not count in scores. None: every point has a label.
        workers: threads; None: as many as there are cores.
        storage: what keeps the trials, so that the same call goes on where it was, and that several
            processes or machines may share: a file, SQLite if its name ends in .db, .sqlite or
            .sqlite3, else Optuna's journal; or the URL of a database, as "mysql://...". It holds
            one search. None: memory.
        progress: whether to show a progress bar; None: on terminals only; or arguments of tqdm for
            it, which leave a line at every tenth of the trials where there is no terminal.
        callback: called after every trial; may raise to end the search.

    Returns:
        `SearchResult`. Ctrl-C after the first two trials returns the best so far.

    Raises:
        ModuleNotFoundError: Optuna or SciPy is not installed.
        ValueError: cases that do not fit together, no foreground, malformed ranges, or a storage
            that holds another search, or in which another process searches.

    Warns:
        UserWarning: labels that do not occur in a case decide most of its score; or arrays whose
            first axis is one of cases leave one axis to each, as one image without a list does.

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
    optuna = needed_optuna()
    if metric == "auto":
        metric = default(max((np.shape(p)[-1] for p in probs if np.ndim(p)), default=2))
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
    cases = Cases(
        images,
        probs,
        labels,
        **options,
        ignore_below=ignore_below,
        masks=masks,
        unknown=unknown,
        workers=workers,
    )
    if not cases.foreground:
        raise ValueError(
            "Expected labels with some foreground. Received none but 0"
            f"{'' if unknown is None else f' and {unknown}, which is unknown'}."
        )
    if not isinstance(labels, list | tuple) and np.ndim(labels[0]) == 1:
        warnings.warn(
            f"every one of {len(labels)} rows is taken as a case of its own. One image goes into "
            "lists: [image], [probs], [labels].",
            stacklevel=checks.outside(),
        )
    if metric in ("dice", "iou") and cases.absent > _MOST_ABSENT:
        warnings.warn(
            f"{100 * cases.absent:.0f} % of the labels in the {metric} of a case do not occur in "
            "its truth: each counts 0 until its last stray point is gone, and the search will go "
            'for that. metric="mdice" or "miou" counts the points of all cases together.',
            stacklevel=checks.outside(),
        )
    # They may be arrays of other libraries, which `Cases` has made NumPy's.
    images, probs = ([checks.array("cases", a) for a in each] for each in (images, probs))
    guess = {
        **first_guess(images, probs, spacing=spacing, mask=masks),
        "num_iterations": num_iterations,
        "normalization": normalization,
    }
    limits = limits_of(guess, ranges or {})
    # The first guess lies within the ranges, also those of a user who knows better.
    first = {name: float(np.clip(level(guess[name]), *limits[name])) for name in limits}
    queue = [{**first, **OFF}, first]

    def arguments(parameters: Mapping[str, float]) -> dict[str, Any]:
        """A trial's parameters as arguments of `refine`."""
        rounded: dict[str, Any] = {name: two_digits(value) for name, value in parameters.items()}
        if np.ndim(guess["theta_beta"]):
            proportions = np.divide(guess["theta_beta"], level(guess["theta_beta"]))
            rounded["theta_beta"] = [
                two_digits(rounded["theta_beta"] * share) for share in proportions
            ]
        return {**guess, **rounded}

    identity = dict(seed=seed, limits=limits, **options)
    if ignore_below:  # searches of earlier versions have none
        identity["ignore_below"] = ignore_below
    arrays = [images, probs, labels]
    if masks is not None or unknown is not None:
        identity["unknown"] = unknown
        given = () if masks is None else masks
        arrays.append([np.zeros(0) if mask is None else mask for mask in given])
    with quiet(optuna), contextlib.closing(cases):
        study = open_study(optuna, storage, repr(identity) + digest_of(*arrays))
        interrupted = _run(
            study, cases, arguments, queue, limits, trials, seed, _bar_options(progress), callback
        )
    return result_of(study, cases.metric, groups, interrupted)


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

    from crfrnn.progress import Bar

    ended = optuna.exceptions.UpdateFinishedTrialError
    seen = len(complete(study))
    with Bar(total=trials, initial=seen, **bar_options) as bar:
        trial = None
        try:
            while (trial := next_trial(study, trials, queue, seed)) is not None:
                # Another process may have taken this one for dead, and made the trial itself.
                with contextlib.suppress(ended), beating(trial):
                    proposed = (
                        (n, trial.suggest_float(n, *limits[n], log=n in THETAS)) for n in limits
                    )
                    crf = arguments(dict(proposed))
                    scores = cases.scores(crf)
                    total = float(cases.metric.total(scores))
                    if np.isnan(total):
                        raise ValueError(
                            f'metric="{cases.metric.name}" is defined for none of these cases. '
                            "Give another metric, or cases whose labels have what it measures."
                        )
                    keep(trial, crf, scores, total)
                    study.tell(trial, total, skip_if_finished=True)
                trial = None
                done = complete(study)
                if done and done[0].user_attrs["slot"] == 0:
                    before, gain = done[0].values[0], study.best_value - done[0].values[0]
                    bar.set_postfix(before=f"{before:.2f}", gain=f"{gain:+.2f}", refresh=False)
                seen, new = len(done), len(done) - seen  # those of other processes too
                for _ in range(new):
                    bar.update()
                    if callback is not None:
                        callback()
        except BaseException as error:
            if trial is not None:
                with contextlib.suppress(ValueError, ended):  # Ctrl-C may come when it was told
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
            first = {done.user_attrs["slot"] for done in complete(study)[: len(queue)]}
            if isinstance(error, KeyboardInterrupt) and first == set(range(len(queue))):
                return True
            raise
    return False


def _bar_options(progress: bool | Mapping[str, Any] | None) -> dict[str, Any]:
    if isinstance(progress, Mapping):
        return {"desc": "CRF search", **progress}
    shown = sys.stderr.isatty() if progress is None else progress
    return {"desc": "CRF search", "disable": not shown}
