"""Cut one feature map to the spatial size of another."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="unet")
class CropTo(keras.layers.Layer):
    """Crops a feature map, at the far end of every spatial axis, to the size of a reference.

    A layer of its own because both sizes may be unknown (``None``) until an image arrives.

    Call arguments:
        inputs: ``[x, reference]``, tensors ``(B, *S, C)`` and ``(B, *R, C')`` with equally many
            spatial axes and S >= R along each.

    Output shape:
        ``(B, *R, C)``: ``x`` from the origin up to the size of the reference.

    Example:
        >>> CropTo()([ops.ones((1, 6, 8, 2)), ops.ones((1, 5, 7, 3))]).shape == (1, 5, 7, 2)
        True
    """

    def call(self, inputs: list[Any]) -> Any:
        x, reference = inputs
        keep = (slice(None), *(slice(size) for size in ops.shape(reference)[1:-1]))
        return x[keep]  # (B, *S, C) -> (B, *R, C)

    def compute_output_shape(
        self, input_shape: list[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        x, reference = input_shape
        return (x[0], *reference[1:-1], x[-1])
