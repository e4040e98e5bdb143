"""What every kind of row has: the rows it rests on, its settings, its scores."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.special import softmax

from experiments.rows import search
from experiments.score.cases import mean_dice

Scores = Sequence[np.ndarray]  # logits (slices, *s, L) per case

KINDS: dict[str, type[Kind]] = {}  # by the name that study files use; rows/__init__ fills it


class Kind:
    """One row of one repetition, and how its scores come about.

    Subclasses name themselves, ``class Bias(Kind, kind="bias")``, say what they are by the class
    attributes, and define `scores`. They import what imports Keras when they use it, since a
    process that only waits, or draws a table, needs none.

    Attributes:
        key, row: name in results.json; the `rows.Row`.
        bench: the `repetition.Repetition` that it is part of, with all rows that stand before it.
        of: the rows it rests on.
        settings, config: what differs for this row, and all of its settings.
        details: what its result says beside the cases; filled as the row is made.
    """

    trained: ClassVar = False  # a model is trained for it, which has a history
    pretrained: ClassVar = False  # and starts from its network's pre-training
    has_crf: ClassVar = False  # a CRF of its own has a part in what it predicts
    may_be_off: ClassVar = False  # what was chosen for it is left out where it does not help
    compares: ClassVar = False  # that CRF compares what the row it rests on says, or sees
    passes_on: ClassVar = False  # it predicts with what the rows it rests on have, CRFs included
    needs_background: ClassVar = False  # label 0 has a part that no other label has
    # Modules that not every installation has, by what pip calls them.
    packages: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, kind: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if kind:
            KINDS[kind] = cls

    def __init__(self, key: str, row: Any, bench: Any):
        self.key, self.row, self.bench = key, row, bench
        self.of: list[Kind] = [bench.rows[of] for of in row.of]
        self.settings = {**self.taken(), **row.settings}
        self.config = dataclasses.replace(bench.config, **self.settings)
        self.details: dict[str, Any] = {}
        # Not a decorator: its cache would outlive this repetition.
        self.scores = functools.cache(self.scores)

    @classmethod
    def rests_on(cls, settings: Mapping[str, Any]) -> tuple[int, float]:
        """The least and the largest number of rows that a row with these settings rests on."""
        return 1, 1

    def taken(self) -> Mapping[str, Any]:
        """Settings of the rows it rests on that are its own, too."""
        return {}

    def scores(self, split: str) -> Scores:
        """Logits of the "validation" or the "test" cases."""
        raise NotImplementedError

    def before(self, split: str) -> Scores | None:
        """The scores that its CRF started from; None without one."""
        return None

    def save(self) -> None:
        """Keep the model that was trained for it, if there is one."""

    def forget(self) -> None:
        """Give back what it holds; whoever asks for it again has it made again."""
        for name, value in [*vars(self).items()]:
            if hasattr(value, "cache_clear"):
                value.cache_clear()
            elif isinstance(getattr(type(self), name, None), functools.cached_property):
                delattr(self, name)

    @property
    def inputs(self) -> Any:
        """Its slices, `train.inputs.Inputs`."""
        return self.bench.inputs(self.config)

    @functools.cached_property
    def search(self) -> dict[str, Any]:
        """The offline CRF for the scores of the row that this one rests on."""
        return search.of_row(self)

    def references(self, split: str) -> Scores:
        """What an offline CRF for the row that this one rests on compares: (slices, *s, K) each."""
        slices, (of,) = getattr(self.inputs, split), self.of
        images = slices.per_case(slices.images)
        if self.config.reference == "image":
            return images
        if self.config.reference == "image+probabilities":
            pairs = zip(images, of.scores(split), strict=True)
            return [np.concatenate([image, softmax(s, axis=-1)], axis=-1) for image, s in pairs]
        from experiments.train import references

        size = self.config.batch_size
        return references.components(of.network, slices, self._projection, size)

    @functools.cached_property
    def _projection(self) -> Any:
        return self.projection(self.of[0].network)

    def projection(self, network: Any) -> Any:
        """What makes components of what a network sees, found on this row's training slices."""
        from experiments.train import references

        size, seed = self.config.batch_size, self.bench.seed
        return references.projection(network, self.inputs.train, size, seed)

    def validation_dice(self) -> float:
        """Dice in percent, mean over the validation cases."""
        return mean_dice(self.inputs.validation, self.scores("validation"))
