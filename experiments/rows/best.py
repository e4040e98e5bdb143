"""A choice among rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from experiments.rows.kind import Kind, Scores


class Best(Kind, kind="best"):
    """The one of several rows that is best on validation cases."""

    passes_on = True

    @classmethod
    def rests_on(cls, settings: Mapping[str, Any]) -> tuple[int, float]:
        return 1, math.inf

    def scores(self, split: str) -> Scores:
        dice = {of.key: of.validation_dice() for of in self.of}
        chosen = max(dice, key=dice.__getitem__)
        self.details.update(validation_dice=dice, chosen=chosen)
        return self.bench.rows[chosen].scores(split)
