"""A network that learns what another row says of its own training cases: pseudo-labels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from experiments.rows.trained import Trained
from experiments.train.inputs import VOID, Slices


class Pseudo(Trained, kind="pseudo"):
    """A network, trained on from its pre-training; points without a label have another row's."""

    pretrained = True

    @property
    def training(self) -> Slices:
        (of,), slices = self.of, self.inputs.train
        if len(of.inputs.train.images) != len(slices.images):
            raise ValueError(
                f"Row {self.key!r} must train on the cases of the row it rests on, {of.key!r}. "
                f"Received train_on={self.config.train_on!r} and {of.config.train_on!r}."
            )
        return filled(slices, of.scores("train"))


def filled(slices: Slices, scores: Any) -> Slices:
    """Slices with the most likely label where there was none; padding stays without.

    Scores (D, h, w, L) per case.

    Example:
        >>> import data
        >>> image, label = np.zeros((1, 4, 1), "float32"), np.zeros((1, 4), "uint8")
        >>> case = data.Case(image, label, (1.0, 1.0), "a", "a")
        >>> labels = np.array([[[VOID, 1, 0, VOID]]])
        >>> given = Slices([case], image[None], image[None], labels, axis=0)
        >>> filled(given, [np.eye(2)[[1, 0, 1, 0]][None, None]]).labels
        array([[[1, 1, 0, 0]]])
    """
    labels, start = slices.labels.copy(), 0
    for score in scores:
        depth, height, width, _ = score.shape
        inside = labels[start : start + depth, :height, :width]  # a view, which is written to
        np.copyto(inside, score.argmax(-1), where=inside == VOID, casting="unsafe")
        start += depth
    return dataclasses.replace(slices, labels=labels)
