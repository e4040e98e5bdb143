"""Losses on integer label maps with void points, from logits."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from experiments.inputs import VOID


def soft_dice(labels: Any, logits: Any) -> Any:
    """1 - Dice of the predicted probabilities, mean over the foreground labels.

    Dice is summed over the whole batch: a slice without foreground has no Dice of its own.

    Args:
        labels: (B, H, W) integers, ``VOID`` where there is none.
        logits: (B, H, W, L).

    Returns:
        A scalar, 0..1.

    Example:
        >>> import numpy as np
        >>> labels = np.array([[[0, 1, 1, VOID]]])
        >>> sure = np.array([[[[40.0, 0], [0, 40], [0, 40], [0, 40]]]], "float32")
        >>> float(soft_dice(labels, sure)) < 1e-6
        True
    """
    valid = _valid(labels, logits.dtype)  # (B, H, W)
    known = ops.where(ops.equal(labels, VOID), 0, labels)  # PyTorch has no one-hot beyond L
    truth = ops.one_hot(known, ops.shape(logits)[-1], dtype=logits.dtype)  # (B, H, W, L)
    probabilities = ops.softmax(logits) * valid[..., None]
    foreground = (truth * valid[..., None])[..., 1:], probabilities[..., 1:]  # (B, H, W, L - 1)
    return ops.mean(keras.losses.dice(*foreground, axis=(0, 1, 2)))


def cross_entropy_and_dice(labels: Any, logits: Any) -> Any:
    """Mean cross-entropy over the points with a label, plus :func:`soft_dice`.

    Args, Returns: as :func:`soft_dice`; the value has no upper bound.

    Example:
        >>> import numpy as np
        >>> equal = np.zeros((1, 1, 2, 2), "float32")  # log 2, and 1 - 2 * 0.5 / (1 + 0.5 + 0.5)
        >>> round(float(cross_entropy_and_dice(np.array([[[0, 1]]]), equal)), 3)
        1.193
    """
    each = keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True, ignore_class=VOID
    )  # (B, H, W), 0 where void
    return ops.sum(each) / ops.sum(_valid(labels, logits.dtype)) + soft_dice(labels, logits)


def _valid(labels: Any, dtype: Any) -> Any:
    return ops.cast(ops.not_equal(labels, VOID), dtype)
