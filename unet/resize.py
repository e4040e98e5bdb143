"""Resize one feature map to the spatial size of another."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="unet")
class ResizeTo(keras.layers.Layer):
    """Resizes a feature map bilinearly to the height and width of a reference.

    A layer of its own because both sizes may be unknown (``None``) until an image arrives. Pixel
    centres are at half numbers: pixel i of R is read at ``(i + 1/2) S / R - 1/2`` of S, held to
    the first and the last pixel's centre.

    Call arguments:
        inputs: ``[x, reference]``, tensors ``(B, H, W, C)`` and ``(B, H', W', C')``.

    Output shape:
        ``(B, H', W', C)``.

    Example:
        >>> ResizeTo()([ops.ones((1, 6, 8, 2)), ops.ones((1, 37, 53, 3))]).shape == (1, 37, 53, 2)
        True
    """

    def call(self, inputs: list[Any]) -> Any:
        x, reference = inputs
        size = ops.shape(reference)[1:3]
        return ops.image.resize(x, size, interpolation="bilinear", data_format="channels_last")

    def compute_output_shape(
        self, input_shape: list[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        x, reference = input_shape
        return (x[0], *reference[1:3], x[-1])
