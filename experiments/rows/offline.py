"""The offline CRF."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import softmax

import crfrnn
from experiments.rows.kind import Kind, Scores
from experiments.rows.search import NORMALIZATION, chosen
from experiments.train.inputs import log


class Offline(Kind, kind="offline"):
    """The scores of another row, refined by a CRF chosen on validation cases."""

    has_crf = True
    may_be_off = True
    compares = True

    def scores(self, split: str) -> Scores:
        found = self.search
        self.details["search"], before = chosen(found), self.before(split)
        if not found["use"]:
            return before
        compared, iterations = self.references(split), self.config.crf_test_iterations
        return [log(one) for one in refine_all(compared, before, found["best"], iterations)]

    def before(self, split: str) -> Scores:
        return self.of[0].scores(split)


def refine_all(
    references: Sequence[np.ndarray],
    unaries: Sequence[np.ndarray],
    crf: Mapping[str, float],
    iterations: int,
) -> list[np.ndarray]:
    """Refine every slice of every case on its own, as the networks see them.

    From N arrays (slices, *s, K) of what is compared, images as a rule, and (slices, *s, L) of
    logits to as many of probabilities; `crf` is what ``crfrnn.refine`` takes.
    """

    def refined(images: np.ndarray, logits: np.ndarray) -> np.ndarray:
        options = {**crf, "num_iterations": iterations, "normalization": NORMALIZATION}
        probs = softmax(logits, axis=-1)
        pairs = zip(images, probs, strict=True)
        return np.stack([crfrnn.refine(image, prob, **options) for image, prob in pairs])

    with warnings.catch_warnings():
        # Bandwidths that look strange were chosen because they are best on validation cases.
        warnings.filterwarnings("ignore", "theta_beta", UserWarning)
        return [refined(*case) for case in zip(references, unaries, strict=True)]
