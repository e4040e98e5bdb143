"""A plan of a study: one file that says which rows are compared on which data, and what differs.

title = "..."            of its section in docs/results.md
text = "..."             what is asked, in a paragraph
differences = [["joint", "plain"], ...]     pairs (row, reference)
pictured = ["plain", "joint"]               from the reference to what is compared with it
base = "other.toml"                         optional: a study beside it, of which only what stands
                                            here is different

[common]                 keys of config.Config for all settings
[settings.NAME]          keys of config.Config that differ, and `without`, rows left out there
[rows.NAME]              title, meaning, kind and of, as in rows.Row, and any keys of
                         config.Config that differ for this row, but for config.OF_THE_RUN

Rows may be added when a study has been run: the same command makes them, and keeps the others.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from experiments import config as configuration
from experiments import runs
from experiments.config import Config
from experiments.rows import Comparison, Row, compared

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KEYS = ("title", "text", "differences", "pictured", "common", "settings", "rows")
OF_A_ROW = ("title", "meaning", "kind", "of")
BASE = "base"
WITHOUT = "without"


class Task(NamedTuple):
    """One run of a study, a setting of its file: what holds for all rows, and the rows."""

    config: Config
    comparison: Comparison


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a study's file says.

    Attributes:
        name: of the file, without ending.
        title, text: what is asked.
        comparison: of all its rows.
        tasks: by name of the setting.
    """

    name: str
    title: str
    text: str
    comparison: Comparison
    tasks: Mapping[str, Task]


def read(path: str | Path, changes: Mapping[str, Any] | None = None) -> Plan:
    """Read a study's file.

    Args:
        path: a TOML file.
        changes: keys of ``Config`` for all settings, whatever the file says.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no TOML, an unknown key or kind, a row that rests on one that is not there, a
            base that has a base.

    Example:
        >>> asked = read("experiments/studies/controlled.toml")
        >>> asked.tasks["wbc1-10"].config.train_cases
        10
    """
    path = Path(path)
    content = _toml(path)
    if BASE in content:
        base = path.parent / content.pop(BASE)
        content = _merged(_toml(base), content)
        if BASE in content:
            raise ValueError(f"{path}: {base} has a base itself. Expected a whole study.")
    try:
        return _plan(path.stem, content, changes or {})
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None


def collect(asked: Plan, folder: Path) -> Path:
    """Put the results of all finished settings into one file, for tables and figures.

    Args:
        asked: the study.
        folder: of its runs, one folder per setting.

    Returns:
        ``folder/study.json``.
    """
    found = {name: runs.read_json(folder / name / "results.json") for name in asked.tasks}
    path = folder / "study.json"
    finished = {name: results for name, results in found.items() if results is not None}
    content = joined(asked.name, asked.title, asked.text.strip(), asked.comparison, finished)
    runs.write_json(path, content, compact=True)
    return path


def joined(
    name: str,
    title: str,
    text: str,
    comparison: Comparison,
    results: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The content of a ``study.json``.

    Args:
        name, title, text: of the study.
        comparison: of all its rows.
        results: by setting, content of its ``results.json``.

    Returns:
        "study": what was asked; "settings": by name, what was found.
    """
    asked = {"name": name, "title": title, "text": text, "reference": comparison.pictured[0]}
    return {
        "study": {**asked, **dataclasses.asdict(comparison)},
        "settings": {
            setting: {
                **{key: value for key, value in found.items() if key != "comparison"},
                "rows": [*compared(found).rows],
            }
            for setting, found in results.items()
        },
    }


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML file: {error}") from None


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged, key by key; everything else is replaced.

    Example:
        >>> _merged({"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"y": 4}})
        {'a': {'x': 1, 'y': 4}, 'b': 3}
    """
    merged = {**base, **changes}
    for key in base.keys() & changes.keys():
        if isinstance(base[key], dict) and isinstance(changes[key], dict):
            merged[key] = _merged(base[key], changes[key])
    return merged


def _plan(name: str, content: Mapping[str, Any], changes: Mapping[str, Any]) -> Plan:
    for key in KEYS:
        if key not in content:
            raise ValueError(f"{key!r} is missing. Expected {', '.join(KEYS)}.")
    if unknown := [*content.keys() - {*KEYS}]:
        raise ValueError(f"Unknown key {unknown[0]!r}. Expected {', '.join(KEYS)}.")
    rows = {key: _row(key, row) for key, row in content["rows"].items()}
    pairs = [(row, reference) for row, reference in content["differences"]]
    pictured = content["pictured"]
    comparison = Comparison(rows, pairs, pictured, (pictured[-1], pictured[0]))
    tasks = {}
    for key, own in content["settings"].items():
        merged = {**content["common"], **own, **changes}
        without = merged.pop(WITHOUT, [])
        config = configuration.make(merged)
        tasks[key] = Task(config, _leave_out(comparison, without))
        for row in rows.values():
            configuration.make({**dataclasses.asdict(config), **row.settings})
    return Plan(name, content["title"], content["text"], comparison, tasks)


def _row(key: str, content: Mapping[str, Any]) -> Row:
    of = content.get("of", ())
    known = {name: value for name, value in content.items() if name in OF_A_ROW}
    others = {name: value for name, value in content.items() if name not in OF_A_ROW}
    settings = configuration.as_settings(others)
    if shared := [name for name in settings if name in configuration.OF_THE_RUN]:
        raise ValueError(
            f"Row {key!r} cannot have {shared[0]!r} of its own: all rows share it. Put it into "
            "[common] or [settings.NAME]."
        )
    of = (of,) if isinstance(of, str) else tuple(of)
    return Row(**{"title": key, **known, "of": of}, settings=settings)


def _leave_out(comparison: Comparison, without: list[str]) -> Comparison:
    if unknown := {*without} - comparison.rows.keys():
        raise ValueError(f"No such rows: {sorted(unknown)}. Expected {[*comparison.rows]}")
    kept = {key: row for key, row in comparison.rows.items() if key not in without}
    pairs = [pair for pair in comparison.differences if {*pair} <= kept.keys()]
    pictured = [key for key in comparison.pictured if key in kept]
    return Comparison(kept, pairs, pictured, (pictured[-1], pictured[0]))
