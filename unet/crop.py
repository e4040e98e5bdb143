"""Cut one feature map to the spatial size of another."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="unet")
class CropTo(keras.layers.Layer):
    """Crops a feature map, from an offset on, to the spatial size of a reference.

    A layer of its own because both sizes may be unknown (``None``) until an image arrives.

    Args:
        offset: the first position that is kept, in pixels, the same along every spatial axis.

    Call arguments:
        inputs: ``[x, reference]``, tensors ``(B, *S, C)`` and ``(B, *R, C')`` with equally many
            spatial axes and S >= offset + R along each.

    Output shape:
        ``(B, *R, C)``: ``x`` from ``offset`` up to ``offset`` + the size of the reference.

    Example:
        >>> CropTo()([ops.ones((1, 6, 8, 2)), ops.ones((1, 5, 7, 3))]).shape == (1, 5, 7, 2)
        True
    """

    def __init__(self, offset: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.offset = offset

    def call(self, inputs: list[Any]) -> Any:
        x, reference = inputs
        sizes = ops.shape(reference)[1:-1]
        keep = (slice(None), *(slice(self.offset, self.offset + size) for size in sizes))
        return x[keep]  # (B, *S, C) -> (B, *R, C)

    def compute_output_shape(
        self, input_shape: list[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        x, reference = input_shape
        return (x[0], *reference[1:-1], x[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "offset": self.offset}
