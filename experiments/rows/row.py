"""What is compared with what: rows of a table, and the pairs of them that are subtracted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.config import as_settings
from experiments.rows.kind import KINDS, Kind


@dataclasses.dataclass(frozen=True)
class Row:
    """A row's title in tables and pictures, and what was done to get it."""

    title: str
    meaning: str  # in the notes below tables
    kind: str  # one of KINDS, each of which has a file in this folder
    of: tuple[str, ...] = ()  # the rows it rests on
    # Keys of `config.Config` that differ for this row.
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def how(self) -> type[Kind]:
        """How its scores come about."""
        return KINDS[self.kind]

    @property
    def packages(self) -> Mapping[str, str]:
        """Modules that not every installation has, by what pip calls them."""
        walks = str(self.settings.get("labels", "")).endswith("+walker")
        return {**self.how.packages, **({"skimage": "scikit-image"} if walks else {})}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What is compared with what."""

    rows: Mapping[str, Row]  # by key in results.json
    differences: Sequence[tuple[str, str]]  # pairs (row, reference) the table subtracts
    pictured: Sequence[str]  # rows shown in pictures
    change: tuple[str, str] | None  # the pair that ranks and ends the pictures; None without one

    def __post_init__(self):
        seen: list[str] = []
        for key, row in self.rows.items():
            if row.kind not in KINDS:
                raise ValueError(f"Unknown kind {row.kind!r} of row {key!r}. Known: {[*KINDS]}")
            unknown = [of for of in row.of if of not in seen]
            if unknown:
                raise ValueError(
                    f"Row {key!r} rests on {unknown}. Expected rows that stand before it: {seen}"
                )
            least, most = row.how.rests_on(row.settings)
            if not least <= len(row.of) <= most:
                number = "one row only" if row.of and most else "the row" if most else "no row"
                raise ValueError(
                    f"Row {key!r} of kind {row.kind!r} must name {number} it rests on as `of`. "
                    f"Received: {row.of}"
                )
            seen.append(key)
        named = {key for pair in self.differences for key in pair} | {*self.pictured}
        if named - {*seen}:
            raise ValueError(f"No such rows: {sorted(named - {*seen})}. Expected some of {seen}")

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Comparison:
        """From what ``dataclasses.asdict`` gives, through JSON."""
        rows = {
            key: Row(**{**row, "of": tuple(row["of"]), "settings": as_settings(row["settings"])})
            for key, row in saved["rows"].items()
        }
        pairs = [(row, reference) for row, reference in saved["differences"]]
        change = None if saved["change"] is None else tuple(saved["change"])
        return cls(rows, pairs, tuple(saved["pictured"]), change)


def has_crf(rows: Mapping[str, Row], key: str) -> bool:
    """Whether a CRF has a part in what a row predicts.

    Example:
        >>> rows = {
        ...     "plain": Row("", "", "network"),
        ...     "offline": Row("", "", "offline", ("plain",)),
        ...     "largest": Row("", "", "largest", ("offline",)),
        ... }
        >>> [has_crf(rows, key) for key in rows]
        [False, True, True]
    """
    how = rows[key].how
    return how.has_crf or (how.passes_on and any(has_crf(rows, of) for of in rows[key].of))


def compared(saved: Mapping[str, Any]) -> Comparison:
    """The rows of a run, from the content of its ``run.json`` or ``results.json``."""
    if "comparison" in saved:
        return Comparison.from_json(saved["comparison"])
    # Of an older run, which had no other rows than these. (They rest on this file.)
    from experiments.studies.main_job import comparison

    return comparison(saved["config"].get("models", ()), saved["config"]["network"])
