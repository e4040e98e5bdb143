"""A network alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.rows.trained import Trained


class Network(Trained, kind="network"):
    """A network, trained on from its pre-training.

    With ``energy_weight`` it rests on a row, whose search gives the energy its bandwidths.
    """

    pretrained = True

    @classmethod
    def rests_on(cls, settings: Mapping[str, Any]) -> tuple[int, float]:
        number = 1 if settings.get("energy_weight") else 0
        return number, number

    def start(self) -> Any:
        network = super().start()
        self.details["pretraining"] = self.pretraining
        return network
