"""The results of a study as they are read: of a run on this machine, or from a committed file.

A run leaves every metric of every case; `condense` keeps less of it. What is made of results does
not mind: a metric is (R, N), or (R, 1) where only the mean over the cases is there.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.rows import Row, compared
from experiments.score import pooled, stats
from experiments.show import condense
from experiments.show.condense import LABEL_DICE, PER_CASE
from experiments.studies.plan import joined

ENVIRONMENT = ("machine", "cores", "backend", "python", "packages", "commit")


class Results:
    """What a study found.

    Args:
        content: of ``study.json``, whole or condensed.

    Attributes:
        name, title, text: of the study.
        reference: the row that the others are measured against.
        rows: by name; a setting has some of them.
        settings: an `Outcome` by name.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        study = content["study"]
        self.name: str = study["name"]
        self.title: str = study["title"]
        self.text: str = study["text"]
        self.reference: str = study["reference"]
        self.pairs = [(row, of) for row, of in study["differences"]]
        self.rows = {name: Row(**row) for name, row in study["rows"].items()}
        self.settings = {k: Outcome(k, one, self) for k, one in content["settings"].items()}


class Outcome:
    """What one setting of a study found: R seeds of some rows, on N test cases.

    Args:
        name: e.g. "wbc1-10".
        content: its part of a study.
        study: that it is a part of.

    Attributes:
        study: the same.
        config: the settings of its runs.
        seconds: processor time of all seeds together.
        environment: backend, python, packages, commit, machine, cores.
        rows: by name, in order.
        groups: (N,) names.
        pairs: (row, reference), to be compared.
    """

    def __init__(self, name: str, content: Mapping[str, Any], study: Results) -> None:
        self.name = name
        self.study = study
        self.config: dict[str, Any] = content["config"]
        self.seconds: float = content.get("seconds", 0)
        self.environment = {name: content.get(name) for name in ENVIRONMENT}
        self.rows = {row: study.rows[row] for row in content["rows"]}
        self._tested = condense.cases(content)
        self.groups: list[str] = self._tested["group"]
        self.pairs = [pair for pair in study.pairs if {*pair} <= {*self.rows}]
        self._seeds = content["seeds"]
        self._metrics = {
            row: [condense.metrics(seed[row], self._tested) for seed in self._seeds]
            for row in self.rows
        }
        # Bootstraps take their time, and tables, figures and sentences ask for the same ones.
        self.comparison = functools.cache(self.comparison)
        self.equivalent = functools.cache(self.equivalent)
        self.pooled = functools.cache(self.pooled)
        self.by_label = functools.cache(self.by_label)

    def versus(self, row: str, reference: str) -> str:
        """How a difference of two rows is called in tables and figures."""
        return f"{self.rows[row].title} vs. {self.rows[reference].title}"

    def scores(self, row: str, metric: str) -> np.ndarray:
        """One metric of one row: (R, N); or (R, 1), the means over the cases; NaN without a value.

        Raises:
            ValueError: if this setting has no such row.
        """
        self._check(row)
        missing = np.full(len(self.groups) if metric in PER_CASE else 1, np.nan)
        return np.array([seed.get(metric, missing) for seed in self._metrics[row]])

    def metrics(self) -> list[str]:
        """Names of all metrics that have a value in any row."""
        results = [seed for row in self.rows for seed in self._metrics[row]]
        found = [name for one in results for name in one if np.isfinite(one[name]).any()]
        return [name for name in dict.fromkeys((*PER_CASE, *found)) if name in found]

    def change(self, row: str, reference: str, metric: str = "dice") -> np.ndarray:
        """A row's metric minus another's: (R, N).

        Raises:
            ValueError: for a metric of which only the means over the cases are kept.
        """
        change = self.scores(row, metric) - self.scores(reference, metric)
        if change.shape[1] != len(self.groups):
            raise ValueError(
                f"Differences are of metrics that are kept per case, {' or '.join(PER_CASE)}. "
                f"Received: {metric!r}"
            )
        return change

    def comparison(self, row: str, reference: str, metric: str = "dice") -> stats.Estimate:
        """Everything about the difference of two rows in a metric."""
        return stats.estimate(self.change(row, reference, metric), self.groups)

    def equivalent(self, row: str, reference: str, margin: float) -> bool:
        """Whether two rows are shown to have the same Dice up to a margin."""
        return stats.equivalent(self.change(row, reference), self.groups, margin)

    def pooled(
        self, row: str, reference: str, confidence: float = stats.CONFIDENCE
    ) -> pooled.Difference:
        """Everything about the difference of two rows in pooled mean IoU.

        Raises:
            ValueError: if their results are from before points were counted.
        """
        counts = [
            [condense.pooled(seed[name], self._tested) for seed in self._seeds]
            for name in (row, reference)
        ]
        if any(one is None for seeds in counts for one in seeds):
            raise ValueError(
                f"{self.name}: expected results of {row!r} and {reference!r} with points counted "
                "by label, for pooled mean IoU. Received older ones, which need to be run again, "
                f"or fewer than {condense.MANY_LABELS} labels, of which they are not kept."
            )
        return pooled.difference(*map(np.array, counts), confidence=confidence)

    def by_label(self, row: str, reference: str) -> pooled.Difference:
        """Everything about the difference of two rows in Dice by label.

        Of results from before Dice was kept by label and group only what the seeds say.
        """
        sums = [
            [condense.by_label(seed[name], self._tested) for seed in self._seeds]
            for name in (row, reference)
        ]
        if not any(one is None for seeds in sums for one in seeds):
            return pooled.difference(*(np.array(seeds) / (100, 1) for seeds in sums))
        means = self.scores(row, LABEL_DICE) - self.scores(reference, LABEL_DICE)
        unknown = (float("nan"), float("nan"))
        return pooled.Difference(
            *(float(means.mean()), tuple(means[:, 0].tolist())),
            *(unknown, stats.interval_over_seeds(means), unknown),
        )

    def crf(self, row: str) -> list[list[dict[str, Any]]]:
        """Per seed, the CRF's parameters over the updates: [{"step", "spatial", ...}, ...]."""
        self._check(row)
        return [condense.crf_history(seed[row]) for seed in self._seeds]

    def choices(self, row: str) -> list[dict[str, Any]]:
        """Per seed, what the row took from the validation cases, see ``condense.CHOICES``."""
        self._check(row)
        kept = condense.CHOICES
        return [
            {name: seed[row][name] for name in kept if name in seed[row]} for seed in self._seeds
        ]

    def _check(self, row: str) -> None:
        if row not in self.rows:
            raise ValueError(
                f"Setting {self.name} has no row {row!r}. Its rows: {', '.join(self.rows)}"
            )


def of_run(name: str, results: Mapping[str, Any]) -> Outcome:
    """One run, from its ``results.json``, as a study of one setting."""
    return Results(_joined(name, results)).settings[name]


def load(folder: Path) -> dict[str, Results]:
    """All committed studies and runs of a folder, by name; a run is a study of one setting.

    Other results are passed over.
    """
    studies = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        if "seeds" in content:
            content = condense.condensed(_joined(path.stem, content))
        if "study" in content:
            studies.append(Results(content))
    return {study.name: study for study in studies}


def _joined(name: str, results: Mapping[str, Any]) -> dict[str, Any]:
    return joined(name, name, "", compared(results), {name: results})
