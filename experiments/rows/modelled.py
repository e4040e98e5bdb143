"""Rows that have a Keras model."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from experiments.rows.kind import Kind, Scores


class Modelled(Kind):
    """A row whose scores are what its model says; subclasses make `model`."""

    model: Any  # images to unaries, or what `train.models.with_head` makes of them

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.predictions = functools.cache(self.predictions)

    def predictions(self, split: str) -> dict[str, Scores]:
        """The model's logits: "unaries", and "refined" if it has a head."""
        from experiments.train.predict import predict

        return predict(self.model, getattr(self.inputs, split), self.config.batch_size)

    def scores(self, split: str) -> Scores:
        named = self.predictions(split)
        return named.get("refined", named["unaries"])

    def before(self, split: str) -> Scores | None:
        return self.predictions(split)["unaries"] if self.has_crf else None

    def network_weights(self) -> list[np.ndarray]:
        """Of the network, without a head."""
        return self.network.get_weights()

    @property
    def network(self) -> Any:
        """From images to logits, without a head."""
        if not isinstance(self.model.output, dict):
            return self.model
        # A model with a head holds its network as a layer, among few.
        return next(one for one in self.model.layers if hasattr(one, "layers"))
