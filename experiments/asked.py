"""A run that is asked for: its folder, what is compared there, and what of it is to be made."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Any, NamedTuple

from experiments import runs
from experiments.config import Config
from experiments.rows import Comparison, Row, compared


class Run(NamedTuple):
    """A folder and what is compared there."""

    folder: Path
    config: Config
    comparison: Comparison

    @property
    def identity(self) -> dict[str, Any]:
        """What other results would come of."""
        config, rows = map(dataclasses.asdict, (self.config, self.comparison))
        return {"config": config, "comparison": rows, "backend": os.environ["KERAS_BACKEND"]}

    @property
    def finished(self) -> bool:
        results = runs.read_json(self.folder / "results.json")
        if results is None:
            return False
        made = dataclasses.asdict(compared(results))
        return runs.as_read_back(made) == runs.as_read_back(self.identity["comparison"])

    @property
    def to_make(self) -> dict[str, Row]:
        """The rows that some seed has not, and those that they rest on."""
        rows, left = self.comparison.rows, set()
        with contextlib.suppress(runs.Damaged):  # which is said, or mended, when all is looked at
            if self.finished:
                return {}
        for key in reversed(rows):  # each stands behind those that it rests on
            if not all(self.rows(seed)[key].exists() for seed in range(self.config.seeds)):
                left |= {key}
            if key in left:
                left |= {*rows[key].of}
        return {key: row for key, row in rows.items() if key in left}

    def rows(self, seed: int) -> dict[str, Path]:
        """Where the results of one repetition are, or will be, by row."""
        return {key: self.folder / f"seed-{seed}" / f"{key}.json" for key in self.comparison.rows}
