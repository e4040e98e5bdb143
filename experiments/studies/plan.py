"""A plan of a study: one file that says which rows are compared on which data, and what differs.

title = "..."            of its section in docs/results.md
text = "..."             what is asked, in a paragraph
differences = [["joint", "plain"], ...]     pairs (row, reference)
pictured = ["plain", "joint"]               from the reference to what is compared with it
base = "other.toml"                         optional: a study beside it, of which only what stands
                                            here is different

[common]                 keys of config.Config for all settings
[settings.NAME]          keys of config.Config that differ, and `without`, rows left out there;
                         dataset may be the path of a folder of one's own
[rows.NAME]              title, meaning, kind and of, as in rows.Row, and any keys of
                         config.Config that differ for this row, but for config.OF_THE_RUN

Rows may be added when a study has been run: the same command makes them, and keeps the others.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
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

KEYS = {
    **{"title": str, "text": str, "differences": list, "pictured": list},
    **{"common": dict, "settings": dict, "rows": dict},
}
OF_A_ROW = ("title", "meaning", "kind", "of")
_WORDS = {str: "a text", list: "a list", dict: "a table"}


class Task(NamedTuple):
    """One run of a study, a setting of its file: what holds for all rows, and the rows."""

    config: Config
    comparison: Comparison


class Plan(NamedTuple):
    """What a study's file says.

    name: of the file, without ending. title, text: what is asked. comparison: of all its rows.
    tasks: by name of the setting.
    """

    name: str
    title: str
    text: str
    comparison: Comparison
    tasks: dict[str, Task]


def read(path: str | Path, changes: Mapping[str, Any] | None = None) -> Plan:
    """Read a study's file.

    Changes are keys of ``Config`` for all settings, whatever the file says. Raises ValueError for
    no TOML, an unknown key or kind, a row that rests on one that is not there, a base that has one.

    Example:
        >>> asked = read("experiments/studies/controlled.toml")
        >>> asked.tasks["wbc1-10"].config.train_cases
        10
    """
    path = Path(path)
    content = _toml(path)
    if "base" in content:
        _check_type(f"{path}: base", content["base"], str)
        base = path.parent / content.pop("base")
        content = _merged(_toml(base), content)
        if "base" in content:
            raise ValueError(f"{path}: {base} has a base itself. Expected a whole study.")
    try:
        return _plan(path.stem, content, changes or {})
    except (ValueError, TypeError) as error:
        # Not the fault of a file that is right without the changes.
        blamed = "" if changes and _is_right(path.stem, content) else f"{path}: "
        raise ValueError(f"{blamed}{error}") from None


def collect(asked: Plan, folder: Path) -> Path:
    """Put the results of all finished settings of a folder into its ``study.json``."""
    found = {name: runs.read_json(folder / name / "results.json") for name in asked.tasks}
    finished = {name: results for name, results in found.items() if results is not None}
    content = joined(*asked[:2], asked.text.strip(), asked.comparison, finished)
    runs.write_json(folder / "study.json", content, compact=True)
    return folder / "study.json"


def joined(
    name: str, title: str, text: str, comparison: Comparison, found: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The content of a ``study.json``.

    Under "study", what was asked; under "settings", by name, what was found: of each setting the
    content of its ``results.json``.
    """
    asked = {"name": name, "title": title, "text": text, "reference": comparison.pictured[0]}
    settings = {}
    for setting, results in found.items():
        kept = {key: value for key, value in results.items() if key != "comparison"}
        settings[setting] = {**kept, "rows": [*compared(results).rows]}
    return {"study": {**asked, **dataclasses.asdict(comparison)}, "settings": settings}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}") from None
    except RecursionError:
        raise ValueError(f"{path} is no TOML file: it is nested too deeply") from None


def _check_type(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be {_WORDS[kind]}. Received: {value!r:.80}")


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
        _check_type(key, content[key], KEYS[key])
    if unknown := [*content.keys() - {*KEYS}]:
        raise ValueError(f"Unknown key {unknown[0]!r}. Expected {', '.join(KEYS)}.")
    for key in (*content["rows"], *content["settings"]):
        if not re.fullmatch(r"[\w+-][\w.+-]*", key):  # they become names of files and folders
            raise ValueError(
                f"Expected names of letters, digits and . _ + - that begin with no dot. "
                f"Received: {key!r}"
            )
    for place in ("settings", "rows"):
        for key, table in content[place].items():
            _check_type(f"{place}.{key}", table, dict)
    rows = {key: _row(key, row) for key, row in content["rows"].items()}
    pairs = [(row, reference) for row, reference in content["differences"]]
    comparison = _without((), rows, pairs, content["pictured"])
    tasks = {}
    for key, own in content["settings"].items():
        merged = {**content["common"], **own, **changes}
        without = merged.pop("without", ())
        config = configuration.make(merged)
        tasks[key] = Task(config, _without(without, rows, pairs, content["pictured"]))
        for of_row, row in rows.items():
            merged = configuration.make({**dataclasses.asdict(config), **row.settings})
            _check_reference(of_row, row, merged, rows)
    return Plan(name, content["title"], content["text"], comparison, tasks)


def _is_right(name: str, content: Mapping[str, Any]) -> bool:
    try:
        _plan(name, content, {})
    except (ValueError, TypeError):
        return False
    return True


def _row(key: str, content: Mapping[str, Any]) -> Row:
    words = {"title": key, "of": ()} | {k: v for k, v in content.items() if k in OF_A_ROW}
    for name in words.keys() - {"of"}:
        _check_type(f"{name} of row {key!r}", words[name], str)
    of = (words["of"],) if isinstance(words["of"], str) else tuple(words["of"])
    settings = {name: value for name, value in content.items() if name not in OF_A_ROW}
    if shared := [name for name in settings if name in configuration.OF_THE_RUN]:
        raise ValueError(
            f"Row {key!r} cannot have {shared[0]!r} of its own: all rows share it. Put it into "
            "[common] or [settings.NAME]."
        )
    return Row(**{**words, "of": of}, settings=configuration.as_settings(settings))


def _check_reference(name: str, row: Row, config: Config, rows: Mapping[str, Row]) -> None:
    others = [of for of in row.of if of in rows and rows[of].kind != "network"]
    if config.reference == "features" and row.how.compares and others:
        raise ValueError(
            f"Row {name!r} compares features: expected as `of` a row of kind 'network', which has "
            f"them. Received: {row.of}"
        )


def _without(
    names: Sequence[str],
    rows: Mapping[str, Row],
    pairs: Sequence[tuple[str, str]],
    pictured: Sequence[str],
) -> Comparison:
    """A comparison with some rows left out."""
    if unknown := {*names} - rows.keys():
        raise ValueError(f"No such rows: {sorted(unknown)}. Expected {[*rows]}")
    kept = {key: row for key, row in rows.items() if key not in names}
    pictured = [key for key in pictured if key not in names]
    pairs = [pair for pair in pairs if not {*pair} & {*names}]
    return Comparison(kept, pairs, pictured, (pictured[-1], pictured[0]))
