"""What every rival of the CRF has: a few settings, tried on validation cases, "off" among them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.special import softmax

from experiments.rows.kind import Kind, Scores
from experiments.score.cases import mean_dice
from experiments.train.inputs import Slices, log


class Filtered(Kind):
    """The scores of another row, changed slice by slice by something that is no CRF.

    Subclasses say how, by `changed`, and with which settings, by `TRIED`. As many as a search of a
    CRF tries would be too many for two numbers; a grid leaves nothing between them unseen.
    """

    passes_on = True
    may_be_off = True
    TRIED: ClassVar[Sequence[Mapping[str, Any]]] = ({},)  # the last resort of a tie is the first

    @staticmethod
    def changed(image: np.ndarray, probs: np.ndarray, **settings: Any) -> np.ndarray:
        """Probabilities of a slice.

        Args:
            image: (*s, K) in [0, 1].
            probs: (*s, L), rows sum to 1.
            settings: one of `TRIED`.

        Returns:
            (*s, L), the largest where the label is.
        """
        raise NotImplementedError

    @functools.cached_property
    def found(self) -> dict[str, Any]:
        """ "off", the Dice without; "best" settings, "best_dice", and "use": whether it is more."""
        slices, before = self.of[0].inputs.validation, self.of[0].scores("validation")
        off, tried = mean_dice(slices, before), []
        for settings in self.TRIED:
            tried.append(mean_dice(slices, self._all(slices, before, settings)))
            self.bench.alive()
        best = int(np.argmax(tried))
        return {
            "off": off,
            "best": dict(self.TRIED[best]),
            "best_dice": tried[best],
            "use": tried[best] > off,
        }

    def scores(self, split: str) -> Scores:
        self.details["search"], before = self.found, self.of[0].scores(split)
        if not self.found["use"]:
            return before
        return self._all(getattr(self.inputs, split), before, self.found["best"])

    def _all(self, slices: Slices, before: Scores, settings: Mapping[str, Any]) -> list[np.ndarray]:
        images = slices.per_case(slices.images)
        return [
            log(
                np.stack(
                    [
                        self.changed(image, probs, **settings)
                        for image, probs in zip(case, softmax(scores, axis=-1), strict=True)
                    ]
                )
            )
            for case, scores in zip(images, before, strict=True)
        ]
