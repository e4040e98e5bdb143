"""How good `crfrnn.first_guess` is on what networks say, and where its rule of trust comes from.

    python -m experiments.unaries runs/unaries     # first: small networks' probabilities, kept
    python -m experiments.first_guess fit          # the rule, from validation cases
    python -m experiments.first_guess report       # the table, from test cases

Six sets, five networks each (experiments/unaries.py). The formulas give bandwidths and weights;
the rule takes `strength` times their weights, times a trust that rises from 0 where image and
labels agree by `lowest` to 1 at `full` (crfrnn.parameters.agreement), both higher by `more` where
nearness alone would do nearly as well. `fit` tries a grid of these four numbers on the validation
cases. A set and network count with the mean gain in Dice, at most 5 points, so that no single set
decides, and a loss three times: no harm comes first. It does so once for all sets, and once without
each set, for the row "without this set". Networks of `UNSEEN` were made later, and it has not seen
them. Sets that were never seen may be worse than these: of the rules that are worth 90 % of the
best one, `fit` takes those with the highest `lowest` + `more`, and of these the best. (The package
asks for no more where labels are mostly noise. That is for noise that somebody adds, though two
weak networks have as much; `fit` and the row "without this set" do without.)

`report` scores on the test cases: no CRF; the settings of papers and libraries; the guess; the
guess with the rule of the other sets; and a search of 20 trials on the 8 validation cases. Kept
case by case in the folder; an interrupted report goes on where it was.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

import crfrnn
from crfrnn.parameters import trust
from crfrnn.parameters.agreement import agreement, nearness
from crfrnn.parameters.first_guess import together
from crfrnn.parameters.formulas import formulas
from crfrnn.parameters.gain import bootstrap_interval
from crfrnn.parameters.measures import statistics
from crfrnn.parameters.scores import nanmean
from crfrnn.parameters.trust import Shown
from experiments import runs, unaries
from experiments.show import markdown
from experiments.unaries import Unaries

WEIGHTS = (0.2, 0.5, 1.2, 3.0, 7.0, 16.0)  # of the bilateral kernel, tried on validation cases
LOSS_COUNTS, MOST, NEARLY = 3.0, 5.0, 0.9
TRIALS = 20

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
    found = [
        200
        * np.sum((truth == label) & (prediction == label))
        / (np.sum(truth == label) + np.sum(prediction == label))
        for label in np.unique(truth)
        if label != background
    ]
    return nanmean(found)


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


def rows(name: str, quality: str, folder: Path) -> dict[str, list[float]]:
    """Dice of every test case, by row, of the rows that the rule does not change."""
    path = folder / f"{name}-{quality}-rows.json"
    scores = runs.read_json(path)
    if scores is None:
        val, test = (unaries.load(name, quality, part, folder) for part in ("val", "test"))
        crfs = {preset: known.scaled_to(1.0) for preset, known in crfrnn.presets.items()}
        crfs["searched"] = search(val)
        scores = {"none": [], **{row: [] for row in crfs}}
        for i, (label, probs) in enumerate(zip(test.labels, test.probs, strict=True)):
            scores["none"].append(dice(label, probs.argmax(-1), test.background))
            for row, crf in crfs.items():
                scores[row].append(refined(test, i, crf))
        runs.write_json(path, scores)
    return scores


def guesses(name: str, quality: str, other: Rule, folder: Path) -> dict[str, list[float]]:
    """Dice of every test case with the guess, and with that of the rule of the other sets."""
    test = unaries.load(name, quality, "test", folder)
    own = []
    for i, (image, probs) in enumerate(zip(test.images, test.probs, strict=True)):
        guess = crfrnn.first_guess([image], [probs], spacing=[test.spacing[i]])
        own.append(refined(test, i, guess))
    left_out = own
    if other != trust_constants():
        left_out = [refined(test, i, guessed(test, i, other)) for i in range(len(own))]
    return {"first guess": own, "without this set": left_out}


def search(val: Unaries) -> dict[str, Any]:
    """What `crfrnn.search` finds."""
    return crfrnn.search(
        val.images,
        val.probs,
        val.labels,
        spacing=val.spacing,
        trials=TRIALS,
        unknown=unaries.IGNORE,
        progress=False,
    ).best


def report(folder: Path, output: Path) -> None:
    """Scores all rows on the test cases, prints the table and writes it with the numbers."""
    names = sorted({name for name, _ in tasks(folder)})
    left_out = {name: fit(folder, name) for name in names}
    results: dict[str, Any] = {}
    for name, quality in tqdm(tasks(folder), desc="report"):
        found = rows(name, quality, folder)
        results[f"{name}, {quality}"] = found | guesses(name, quality, left_out[name], folder)
    content = {
        "rule": trust_constants()._asdict(),
        "left_out": {name: rule._asdict() for name, rule in left_out.items()},
        "dice": {
            task: {row: [round(value, 3) for value in values] for row, values in found.items()}
            for task, found in results.items()
        },
        **runs.environment(),
    }
    runs.write_json(output, content)
    print(table(results))


def trust_constants() -> Rule:
    """The rule that is in the package."""
    return Rule(1.0, trust.LOWEST, trust.FULL, trust.MORE)


def table(results: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Mean Dice without a CRF, and the mean gain of every row, in percent points.

    Behind the guess: its 95 % bootstrap interval over cases.
    """
    names = [row for row in next(iter(results.values())) if row != "none"]
    body = []
    for task, found in results.items():
        before = np.array(found["none"])
        cells = [task, f"{nanmean(before):.1f}"]
        for row in names:
            gains = np.array(found[row]) - before
            cells.append(f"{nanmean(gains):+.2f}")
            if row == "first guess":
                low, high = bootstrap_interval(gains, list(range(len(gains))))
                cells.append(f"{low:+.2f} to {high:+.2f}")
        body.append(cells)
    head = ["", "none", *names]
    head.insert(head.index("first guess") + 1, "its interval")
    return markdown.table(head, body)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["fit", "report"])
    parser.add_argument("--folder", type=Path, default=Path("runs/unaries"))
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("experiments/results/first_guess_networks.json"),
        help="of the report (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.what == "report":
        report(options.folder, options.output)
        return
    for without in (None, *unaries.SETS):
        print("without", without, fit(options.folder, without))


if __name__ == "__main__":
    main()
