"""What the losses on integer label maps share: labels left out, one sigmoid channel, sums."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class LabelLoss(keras.losses.Loss):
    def __init__(self, ignore_class: int | None, name: str, **arguments: Any):
        super().__init__(name=name, **arguments)
        self.ignore_class = ignore_class

    def compare(self, labels: Any, logits: Any) -> tuple[Any, Any, Any]:
        """Truth (B, *S, L), zero where there is no label, logits (B, *S, L), valid (B, *S)."""
        if len(labels.shape) == len(logits.shape):
            labels = ops.squeeze(labels, -1)  # (B, *S, 1) -> (B, *S)
        if logits.shape[-1] == 1:
            # softmax((0, x)) = (1 - sigmoid(x), sigmoid(x))
            logits = ops.concatenate([ops.zeros_like(logits), logits], axis=-1)
        if self.ignore_class is None:
            valid = ops.ones_like(labels, dtype="bool")
        else:
            valid = ops.not_equal(labels, self.ignore_class)
        known = ops.where(valid, labels, 0)  # PyTorch has no one-hot beyond L
        truth = ops.one_hot(ops.cast(known, "int32"), logits.shape[-1], dtype=logits.dtype)
        valid = ops.cast(valid, logits.dtype)
        return truth * valid[..., None], logits, valid

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ignore_class": self.ignore_class}


class RegionLoss(LabelLoss):
    def __init__(
        self,
        per_case: bool,
        background: bool,
        ignore_class: int | None,
        name: str,
        **arguments: Any,
    ):
        super().__init__(ignore_class, name, **arguments)
        self.per_case = per_case
        self.background = background

    def call(self, y_true: Any, y_pred: Any) -> Any:
        truth, logits, valid = self.compare(y_true, y_pred)
        probabilities = ops.softmax(logits) * valid[..., None]  # (B, *S, L)
        first = 0 if self.background else 1
        axes = tuple(range(1 if self.per_case else 0, len(logits.shape) - 1))
        overlap = self._loss(truth[..., first:], probabilities[..., first:], axes)
        return ops.mean(overlap, axis=-1)  # over the labels: () or (B,)

    def _loss(self, truth: Any, probabilities: Any, axes: tuple[int, ...]) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        own = {"per_case": self.per_case, "background": self.background}
        return {**super().get_config(), **own}


def log_probability(truth: Any, logits: Any) -> Any:
    """Of the true labels: (B, *S), 0 where void."""
    # Not Keras's cross-entropy: TensorFlow's has a gradient where the truth is all zeros.
    return ops.sum(truth * ops.log_softmax(logits), axis=-1)


def mean_over_valid(each: Any, valid: Any) -> Any:
    """Scale losses that are 0 where void so that their mean is the mean over the valid points."""
    return each / ops.maximum(ops.mean(valid), keras.config.epsilon())
