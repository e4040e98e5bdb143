"""Losses from logits on integer label maps, for networks and CRFs alike.

What they have beyond Keras's losses of the same names: they take logits and integer labels, skip
points without a label (``ignore_class``), count every label alike, and take one sigmoid channel
(L = 1) as the logit of label 1 against 0. Plain cross-entropy needs none of it: that is
``keras.losses.SparseCategoricalCrossentropy(from_logits=True)``. Weights per point, as
``unet.weight_maps`` makes them, are given to ``fit`` as ``sample_weight``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from unet.label_loss import LabelLoss, RegionLoss, log_probability, mean_over_valid

__all__ = ["CrossEntropyAndDice", "Focal", "SoftDice", "Tversky"]


@keras.saving.register_keras_serializable(package="unet")
class SoftDice(RegionLoss):
    """1 - Dice of the predicted probabilities, the mean over the labels.

    For each label, ``1 - 2 sum(t p) / (sum(t) + sum(p))``, where t is 1 at the points of the label
    and 0 elsewhere, and p is its probability. A label that has no point contributes 1 and no
    gradient.

    Args:
        per_case: sum over each case by itself, and take the mean over cases; by default the sums
            run over the whole batch, since a slice without foreground has no Dice of its own.
        background: whether label 0 counts.
        ignore_class: the label of points without label; ``None`` if there are none.
        name, **arguments: as in ``keras.losses.Loss``.

    Call arguments:
        y_true: ``(B, *S)`` or ``(B, *S, 1)``, integers 0..L-1 or ``ignore_class``.
        y_pred: logits ``(B, *S, L)``; with L = 1 the labels are 0 and 1.
        sample_weight: one number per case, with ``per_case`` only. A Dice has no weights per
            point: a map of them only multiplies it by their mean.

    Returns:
        A scalar, 0..1.

    Reference:
        - [V-Net](https://arxiv.org/abs/1606.04797), without the squares of its denominator

    Example:
        >>> import numpy as np
        >>> labels = np.array([[[0, 1, 1, 255]]])
        >>> sure = np.array([[[[40.0, 0], [0, 40], [0, 40], [0, 40]]]], "float32")
        >>> float(SoftDice(ignore_class=255)(labels, sure)) < 1e-6
        True
    """

    def __init__(
        self,
        *,
        per_case: bool = False,
        background: bool = False,
        ignore_class: int | None = None,
        name: str = "soft_dice",
        **arguments: Any,
    ):
        super().__init__(per_case, background, ignore_class, name, **arguments)

    def _loss(self, truth: Any, probabilities: Any, axes: tuple[int, ...]) -> Any:
        return keras.losses.dice(truth, probabilities, axis=axes)


@keras.saving.register_keras_serializable(package="unet")
class Tversky(RegionLoss):
    """1 - Tversky index of the predicted probabilities, the mean over the labels.

    For each label, ``1 - TP / (TP + alpha FP + beta FN)``, with the soft counts ``TP = sum(t p)``,
    ``FP = sum((1 - t) p)`` and ``FN = sum(t (1 - p))``. With ``alpha = beta = 0.5`` this is
    :class:`SoftDice`; a larger ``beta`` finds more of a small structure.

    Args:
        alpha: weight of false positives. (Keras's own Tversky loss exchanges the two weights.)
        beta: weight of false negatives. The paper found 0.3 and 0.7 best for small lesions.
        per_case, background, ignore_class, name, **arguments: as in :class:`SoftDice`.

    Call arguments, Returns: as :class:`SoftDice`.

    Reference:
        - [Tversky loss function for image segmentation](https://arxiv.org/abs/1706.05721)

    Example:
        >>> import numpy as np
        >>> missed = np.array([[[[40.0, 0], [0, 40]]]], "float32")  # one of two points of label 1
        >>> round(float(Tversky()(np.array([[[1, 1]]]), missed)), 3)  # 1 - 1 / (1 + 0.7)
        0.412
    """

    def __init__(
        self,
        alpha: float = 0.3,
        beta: float = 0.7,
        *,
        per_case: bool = False,
        background: bool = False,
        ignore_class: int | None = None,
        name: str = "tversky",
        **arguments: Any,
    ):
        super().__init__(per_case, background, ignore_class, name, **arguments)
        self.alpha = alpha
        self.beta = beta

    def _loss(self, truth: Any, probabilities: Any, axes: tuple[int, ...]) -> Any:
        both = ops.sum(truth * probabilities, axis=axes)
        false_positive = ops.sum(probabilities, axis=axes) - both
        false_negative = ops.sum(truth, axis=axes) - both
        counted = both + self.alpha * false_positive + self.beta * false_negative
        return 1 - both / (counted + keras.config.epsilon())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta}


@keras.saving.register_keras_serializable(package="unet")
class Focal(LabelLoss):
    """Cross-entropy with less weight on points that are predicted well.

    At each point, ``-alpha (1 - p)**gamma log(p)``, where p is the probability of the point's own
    label; the value is the mean over the points with a label. Computed from log-probabilities:
    Keras's focal loss cuts p off at 1e-7, and a point that is wrong by more than 16 logits gets no
    gradient from it.

    Args:
        alpha: one weight for all labels, or one per label, e.g. of ``weight_maps.class_weights``;
            (1 - a, a) for the paper's binary form. Keras's default.
        gamma: >= 1; the paper's default is 2.
        ignore_class, name, **arguments: as in :class:`SoftDice`.

    Call arguments:
        y_true, y_pred: as in :class:`SoftDice`.
        sample_weight: ``(B, *S)``, one number per point.

    Returns:
        A scalar >= 0.

    Raises:
        ValueError: if ``gamma`` is below 1, where the gradient at p = 1 is infinite.

    Reference:
        - [Focal loss for dense object detection](https://arxiv.org/abs/1708.02002), equation 5

    Example:
        >>> import numpy as np
        >>> equal = np.zeros((1, 1, 1, 2), "float32")  # 0.25 * 0.5**2 * log(2)
        >>> round(float(Focal()(np.array([[[1]]]), equal)), 4)
        0.0433
    """

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        *,
        ignore_class: int | None = None,
        name: str = "focal",
        **arguments: Any,
    ):
        super().__init__(ignore_class, name, **arguments)
        if gamma < 1:
            raise ValueError(f"Invalid gamma. Expected a number >= 1. Received: gamma={gamma}")
        self.alpha = alpha
        self.gamma = gamma

    def call(self, y_true: Any, y_pred: Any) -> Any:
        truth, logits, valid = self.compare(y_true, y_pred)
        log_p = log_probability(truth, logits)
        alpha = ops.sum(truth * ops.convert_to_tensor(self.alpha, dtype=logits.dtype), axis=-1)
        each = -alpha * ops.power(-ops.expm1(log_p), self.gamma) * log_p
        return mean_over_valid(each, valid)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="unet")
class CrossEntropyAndDice(LabelLoss):
    """Mean cross-entropy over the points with a label, plus :class:`SoftDice` of the whole batch.

    The loss of nnU-Net: cross-entropy has a gradient everywhere, Dice gives small structures
    their share.

    Args:
        dice_weight: >= 0, of the Dice part; 0 leaves cross-entropy alone.
        background, ignore_class, name, **arguments: as in :class:`SoftDice`; the background is left
            out of Dice only.

    Call arguments:
        y_true, y_pred: as in :class:`SoftDice`.
        sample_weight: ``(B, *S)``, one number per point, for the cross-entropy; Dice is multiplied
            by their mean.

    Returns:
        A scalar >= 0.

    Reference:
        - [nnU-Net](https://arxiv.org/abs/1809.10486)

    Example:
        >>> import numpy as np
        >>> equal = np.zeros((1, 1, 2, 2), "float32")  # log 2, and 1 - 2 * 0.5 / (1 + 0.5 + 0.5)
        >>> round(float(CrossEntropyAndDice()(np.array([[[0, 1]]]), equal)), 3)
        1.193
    """

    def __init__(
        self,
        *,
        dice_weight: float = 1.0,
        background: bool = False,
        ignore_class: int | None = None,
        name: str = "cross_entropy_and_dice",
        **arguments: Any,
    ):
        super().__init__(ignore_class, name, **arguments)
        self.dice_weight = dice_weight
        self.background = background
        self._dice = SoftDice(background=background, ignore_class=ignore_class)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        truth, logits, valid = self.compare(y_true, y_pred)
        cross_entropy = mean_over_valid(-log_probability(truth, logits), valid)
        if not self.dice_weight:
            return cross_entropy
        return cross_entropy + self.dice_weight * self._dice.call(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        own = {"dice_weight": self.dice_weight, "background": self.background}
        return {**super().get_config(), **own}
