"""The committed results of a study: what is kept of a run, and how it is read.

A finished study leaves ``runs/<study>/study.json``, with every metric of every case. Committed is
``experiments/results/<study>.json``: the same, but

- ``cases`` stands once per setting, ``{"id": [N], "group": [N]}``: all rows have the same;
- a row of a seed has the metrics in ``PER_CASE``, which are compared case by case, as lists (N,),
  and of all others the mean over the cases, in ``means``;
- of ``history`` only the CRF's own parameters are kept, as ``crf``;
- scores of a case are rounded to ``DECIMALS`` and means to ``MEAN_DECIMALS``; what is missing is
  null.

Of a run of the main job, ``results.json`` is committed as it is.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crfrnn.parameters.scores import nanmean
from experiments.rows import Row, compared
from experiments.score import stats
from experiments.studies.plan import joined

PER_CASE = ("dice", "boundary_accuracy")
UNARIES = "unaries_dice"  # Dice of a row's network before its CRF: given per row, not per case
CHOICES = ("search", "bias", "chosen")  # what a row took from the validation cases
ENVIRONMENT = ("machine", "cores", "backend", "python", "packages", "commit")
DECIMALS = 2  # one pixel more or less moves a case's Dice by more than a hundredth of a percent
MEAN_DECIMALS = 3


class Setting:
    """One table of a study: R seeds of some rows, on the same N test cases.

    Args:
        name: e.g. "wbc1-10".
        content: its part of a committed study.
        pairs: (row, reference) of the study; those with both rows in this setting are kept.

    Attributes:
        config: the settings of its runs.
        seconds: processor time of all seeds together.
        environment: backend, python, packages, commit, machine, cores.
        rows: names of the rows, in order.
        groups: (N,) names.
        pairs: (row, reference), to be compared.
    """

    def __init__(
        self, name: str, content: Mapping[str, Any], pairs: Sequence[Sequence[str]]
    ) -> None:
        self.name = name
        self.config: dict[str, Any] = content["config"]
        self.seconds: float = content["seconds"]
        self.environment = {name: content[name] for name in ENVIRONMENT}
        self.rows: list[str] = content["rows"]
        self.groups: list[str] = content["cases"]["group"]
        self.pairs = [(row, of) for row, of in pairs if {row, of} <= {*self.rows}]
        self._seeds = content["seeds"]
        # Bootstraps take their time, and tables, figures and sentences ask for the same ones.
        self.comparison = functools.cache(self._comparison)
        self.difference = functools.cache(self._difference)
        self.equivalent = functools.cache(self._equivalent)

    def scores(self, row: str, metric: str) -> np.ndarray:
        """One metric of one row.

        Returns:
            (R, N) for a metric in ``PER_CASE``; else (R, 1), the means over the cases; NaN where
            there is no value.

        Raises:
            ValueError: if this setting has no such row.
        """
        seeds = self._of(row)
        if metric in PER_CASE:
            nothing = [None] * len(self.groups)
            return np.array([seed.get(metric, nothing) for seed in seeds], np.float64)
        return np.array([[seed["means"].get(metric)] for seed in seeds], np.float64)

    def metrics(self) -> list[str]:
        """Names of all metrics that have a value in any row."""
        results = [result for row in self.rows for result in self._of(row)]
        names = dict.fromkeys((*PER_CASE, *(name for one in results for name in one["means"])))
        return [
            name
            for name in names
            if any(np.isfinite(self.scores(row, name)).any() for row in self.rows)
        ]

    def change(self, row: str, reference: str, metric: str = "dice") -> np.ndarray:
        """A row's metric, one in ``PER_CASE``, minus another's: (R, N).

        Raises:
            ValueError: for another metric, of which only the means over the cases are kept.
        """
        if metric not in PER_CASE:
            raise ValueError(
                f"Differences are of metrics that are kept per case, {' or '.join(PER_CASE)}. "
                f"Received: {metric!r}"
            )
        return self.scores(row, metric) - self.scores(reference, metric)

    def _comparison(self, row: str, reference: str) -> stats.Estimate:
        """Everything about the difference of Dice of two rows."""
        return stats.estimate(self.change(row, reference), self.groups)

    def _difference(self, row: str, reference: str, metric: str) -> tuple[float, stats.Interval]:
        """Mean of the difference of two rows in a metric, and its 95 % interval over both."""
        if metric == "dice":
            found = self.comparison(row, reference)
            return found.mean, found.over_both
        change = self.change(row, reference, metric)
        return stats.mean_and_sd(change)[0], stats.interval_over_both(change, self.groups)

    def _equivalent(self, row: str, reference: str, margin: float) -> bool:
        """Whether two rows are shown to have the same Dice up to a margin."""
        return stats.equivalent(self.change(row, reference), self.groups, margin)

    def crf(self, row: str) -> list[list[dict[str, Any]]]:
        """Per seed, the CRF's parameters over the updates: [{"step", "spatial", ...}, ...]."""
        return [seed.get("crf", []) for seed in self._of(row)]

    def choices(self, row: str) -> list[dict[str, Any]]:
        """Per seed, what the row took from the validation cases, under the names in ``CHOICES``."""
        return [{name: seed[name] for name in CHOICES if name in seed} for seed in self._of(row)]

    def _of(self, row: str) -> list[dict[str, Any]]:
        if row not in self.rows:
            raise ValueError(
                f"Setting {self.name} has no row {row!r}. Its rows: {', '.join(self.rows)}"
            )
        return [seed[row] for seed in self._seeds]


class Study:
    """A study as committed.

    Args:
        content: of ``experiments/results/<study>.json``.

    Attributes:
        name, title, text: of the study.
        reference: the row that the others are measured against.
        rows: by name; a setting has some of them.
        settings: by name.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        study = content["study"]
        self.name: str = study["name"]
        self.title: str = study["title"]
        self.text: str = study["text"]
        self.reference: str = study["reference"]
        self.rows = {name: Row(**row) for name, row in study["rows"].items()}
        self.settings = {
            name: Setting(name, setting, study["differences"])
            for name, setting in content["settings"].items()
        }

    def versus(self, row: str, reference: str) -> str:
        """How a difference of two rows is called in tables and figures."""
        return f"{self.rows[row].title} vs. {self.rows[reference].title}"


def of_run(name: str, results: Mapping[str, Any]) -> Study:
    """One run as a study of one setting, which has all tables and figures that studies have.

    Args:
        name: of the run, the study and its setting.
        results: content of ``results.json``.
    """
    return Study(condensed(joined(name, name, "", compared(results), {name: results})))


def load(folder: Path) -> dict[str, Study]:
    """All committed studies and runs of a folder, by name; a run is a study of one setting.

    Other results are passed over.
    """
    studies = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        if "study" in content:
            studies.append(Study(content))
        elif "seeds" in content:
            studies.append(of_run(path.stem, content))
    return {study.name: study for study in studies}


def condensed(content: Mapping[str, Any]) -> dict[str, Any]:
    """What is committed of a finished study; see the top of this file.

    Args:
        content: of ``runs/<study>/study.json``.

    Raises:
        ValueError: if two rows of a setting were not tested on the same cases in the same order,
            so that their differences would mean nothing.
    """
    settings = {name: _setting(name, value) for name, value in content["settings"].items()}
    return {**content, "settings": settings}


def dumps(content: Mapping[str, Any]) -> str:
    """JSON with a line for each list of numbers or names."""
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    return re.sub(r"\[[^][{}]*\]", lambda flat: re.sub(r"\n\s*", "", flat[0]), text) + "\n"


def _setting(name: str, setting: Mapping[str, Any]) -> dict[str, Any]:
    first = setting["seeds"][0][setting["rows"][0]]["cases"]
    cases = {key: [case[key] for case in first] for key in ("id", "group")}
    for index, seed in enumerate(setting["seeds"]):
        for row in setting["rows"]:
            if [case["id"] for case in seed[row]["cases"]] != cases["id"]:
                raise ValueError(
                    f"{name}: row {row!r} of seed {index} was tested on other cases than row "
                    f"{setting['rows'][0]!r} of seed 0. Expected the same cases in the same order."
                )
    seeds = [{row: _row(seed[row]) for row in setting["rows"]} for seed in setting["seeds"]]
    return {**setting, "cases": cases, "seeds": seeds}


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    cases = row["cases"]
    metrics = {
        name: np.array([case[name] for case in cases], np.float64)
        for name in cases[0]
        if name not in ("id", "group")
    }
    if UNARIES in row:
        metrics[UNARIES] = np.array(row[UNARIES], np.float64)
    kept: dict[str, Any] = {
        name: [_rounded(value, DECIMALS) for value in metrics.pop(name)]
        for name in PER_CASE
        if name in metrics
    }
    kept["means"] = {
        name: _rounded(nanmean(values), MEAN_DECIMALS) for name, values in metrics.items()
    }
    history = [point for point in row.get("history", ()) if "crf" in point]
    if history:
        kept["crf"] = [{"step": point["step"], **point["crf"]} for point in history]
    return kept | {name: row[name] for name in CHOICES if name in row}


def _rounded(value: float, decimals: int) -> float | None:
    """As JSON has it, which knows no NaN."""
    return round(float(value), decimals) if np.isfinite(value) else None
