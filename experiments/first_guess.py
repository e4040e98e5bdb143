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
weak networks have as much; `fit` and, where its rule is another one, the row "without this set"
do without.)

`report` scores on the test cases: no CRF; the settings of papers and libraries; the guess; the
guess with the rule of the other sets; and a search of 20 trials on the 8 validation cases. Kept
case by case in the folder; an interrupted report goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import crfrnn
from crfrnn.parameters import trust
from crfrnn.parameters.gain import bootstrap_interval
from crfrnn.parameters.scores import nanmean
from experiments import runs, unaries
from experiments.first_guess_rule import Rule, dice, fit, guessed, refined, tasks
from experiments.show import markdown

TRIALS = 20
PACKAGED = Rule(1.0, trust.LOWEST, trust.FULL, trust.MORE)  # the rule that is in the package


def rows(name: str, quality: str, folder: Path) -> dict[str, list[float]]:
    """Dice of every test case, by row, of the rows that the rule does not change."""
    path = folder / f"{name}-{quality}-rows.json"
    scores = runs.read_json(path)
    if scores is None:
        val, test = (unaries.load(name, quality, part, folder) for part in ("val", "test"))
        crfs = {preset: known.scaled_to(1.0) for preset, known in crfrnn.presets.items()}
        options = {"trials": TRIALS, "unknown": unaries.IGNORE, "progress": False}
        found = crfrnn.search(val.images, val.probs, val.labels, spacing=val.spacing, **options)
        crfs["searched"] = found.best
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
    if other != PACKAGED:
        left_out = [refined(test, i, guessed(test, i, other)) for i in range(len(own))]
    return {"first guess": own, "without this set": left_out}


def report(folder: Path, output: Path) -> None:
    """Scores all rows on the test cases, prints the table and writes it with the numbers."""
    names = sorted({name for name, _ in tasks(folder)})
    left_out = {name: fit(folder, name) for name in names}
    results: dict[str, Any] = {}
    for name, quality in tqdm(tasks(folder), desc="report"):
        found = rows(name, quality, folder)
        results[f"{name}, {quality}"] = found | guesses(name, quality, left_out[name], folder)
    content = {
        "rule": PACKAGED._asdict(),
        "left_out": {name: rule._asdict() for name, rule in left_out.items()},
        "dice": {
            task: {row: [round(value, 3) for value in values] for row, values in found.items()}
            for task, found in results.items()
        },
        **runs.environment(),
    }
    runs.write_json(output, content)
    print(table(results))


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
