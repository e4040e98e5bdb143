"""A trained CRF, used otherwise."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from experiments.rows.modelled import Modelled


class Retest(Modelled, kind="retest"):
    """The trained model of another row with this row's settings, e.g. more iterations."""

    has_crf = True

    def taken(self) -> Mapping[str, Any]:
        return self.of[0].settings

    @property
    def search(self) -> dict[str, Any]:
        return self.of[0].search

    @functools.cached_property
    def model(self) -> Any:
        from experiments.train import models

        trained = self.of[0].model
        network = self.bench.front_end(self.config)
        model = models.with_head(network, self.config, "crf", self.search["best"])
        model.set_weights(trained.get_weights())
        return model
