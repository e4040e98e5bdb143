"""Rows for which a model is trained."""

from __future__ import annotations

import functools
from typing import Any

from experiments.config import OF_NETWORK
from experiments.rows.modelled import Modelled
from experiments.rows.search import chosen
from experiments.train.inputs import Slices


class Trained(Modelled):
    """A network, trained on from its pre-training, and the `head` that is trained behind it."""

    trained = True
    head: str | None = None  # as `train.models.with_head` has it

    def start(self) -> Any:
        """The network, with the weights that the further updates start from."""
        network = self.bench.front_end(self.config)
        weights, self.pretraining = self.bench.pretrained(self.row.settings)
        network.set_weights(weights)
        return network

    @property
    def training(self) -> Slices:
        """What it learns from."""
        return self.inputs.train

    @functools.cached_property
    def model(self) -> Any:
        from experiments.train import models

        config, details, crf, network = self.config, self.details, None, self.start()
        if self.head == "crf" or config.energy_weight:
            details["search"], crf = chosen(self.search), self.search["best"]
        steps, projection = config.further_steps, None
        if self.head == "crf" and config.reference == "features":
            projection = self.projection(network)
        model = models.with_head(network, config, self.head, crf, projection)
        models.compile(
            *(model, config, config.loss, steps, config.further_learning_rate, crf),
            background=self.inputs.background,
        )
        history = self.bench.train(
            model, self.key, config, steps, config.batch_order, self.training
        )
        details["history"] = history
        self.bench.check_same(self.key, "history", history)
        if self.head == "crf":
            details["weights"] = models.learned(model)
        return model

    def save(self) -> None:
        self.bench.save(self.model, self.key)


class Behind(Trained):
    """What is trained behind the trained network of another row, which stays as it is."""

    def taken(self) -> dict[str, Any]:
        return {key: value for key, value in self.of[0].settings.items() if key in OF_NETWORK}

    def start(self) -> Any:
        from experiments.train import models

        network = self.bench.front_end(self.config)
        network.set_weights(self.of[0].network_weights())
        models.freeze(network)
        return network
