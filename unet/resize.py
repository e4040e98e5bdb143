"""Resize one feature map to the spatial size of another."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="unet")
class ResizeTo(keras.layers.Layer):
    """Resizes a feature map bilinearly to the height and width of a reference.

    A layer of its own because both sizes may be unknown (``None``) until an image arrives.

    Args:
        align_corners: how pixel i of the new size R reads the old size S. ``False``: pixel centres
            are at half numbers, so it reads at ``(i + 1/2) S / R - 1/2``, held to the first and the
            last pixel. ``True``: at ``i (S - 1) / (R - 1)``, so that the first and the last pixels
            of both fall together; this undoes convolutions that stride from the first pixel on
            (ResNet), exactly where R = stride (S - 1) + 1.
        **kwargs: those of every Keras layer.

    Call arguments:
        inputs: ``[x, reference]``, tensors ``(B, H, W, C)`` and ``(B, H', W', C')``.

    Output shape:
        ``(B, H', W', C)``.

    Example:
        >>> ResizeTo()([ops.ones((1, 6, 8, 2)), ops.ones((1, 37, 53, 3))]).shape == (1, 37, 53, 2)
        True
    """

    def __init__(self, align_corners: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.align_corners = align_corners

    def call(self, inputs: list[Any]) -> Any:
        x, reference = inputs
        height, width = ops.shape(reference)[1:3]
        if not self.align_corners:
            return ops.image.resize(
                x, (height, width), interpolation="bilinear", data_format="channels_last"
            )
        rows = corner_weights(height, ops.shape(x)[1], x.dtype)
        columns = corner_weights(width, ops.shape(x)[2], x.dtype)
        x = ops.einsum("rh,bhwc->brwc", rows, x)
        return ops.einsum("sw,brwc->brsc", columns, x)

    def compute_output_shape(
        self, input_shape: list[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        x, reference = input_shape
        return (x[0], *reference[1:3], x[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "align_corners": self.align_corners}


def corner_weights(new: Any, old: Any, dtype: Any) -> Any:
    """Weights (R, S) of the old pixels in each new one, for one axis with aligned corners.

    Example:
        >>> ops.convert_to_numpy(corner_weights(3, 2, "float32")).tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    i = ops.cast(ops.arange(new), "float32")[:, None]
    at = i * ops.cast(old - 1, "float32") / ops.cast(ops.maximum(new - 1, 1), "float32")
    distance = ops.abs(at - ops.cast(ops.arange(old), "float32")[None])
    return ops.cast(ops.relu(1 - distance), dtype)
