"""Resize one feature map to the spatial size of another."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="unet")
class ResizeTo(keras.layers.Layer):
    """Resizes a feature map bilinearly to the height and width of a reference.

    A layer of its own because both sizes may be unknown (``None``) until an image arrives. Beyond
    the first and the last pixel it holds their values.

    Args:
        align_corners: how pixel i of the new size R reads the old size S. ``False``: pixel centres
            are at half numbers, so it reads at ``(i + 1/2) S / R - 1/2``. ``True``: at
            ``i (S - 1) / (R - 1)``, so that the first and the last pixels of both fall together.
        factor: pixels of the new size per pixel of the old, where that is known although the sizes
            are not its multiples. ``1 / factor`` then takes the place of the quotients above. This
            undoes poolings of 2 x 2 pixels (``align_corners=False``) and convolutions that stride
            from the first pixel on (``True``) without a shift, whatever the size.
        **kwargs: those of every Keras layer.

    Call arguments:
        inputs: ``[x, reference]``, tensors ``(B, H, W, C)`` and ``(B, H', W', C')``.

    Output shape:
        ``(B, H', W', C)``.

    Example:
        >>> ResizeTo()([ops.ones((1, 6, 8, 2)), ops.ones((1, 37, 53, 3))]).shape == (1, 37, 53, 2)
        True
    """

    def __init__(
        self, align_corners: bool = False, factor: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.align_corners = align_corners
        self.factor = factor

    def call(self, inputs: list[Any]) -> Any:
        x, reference = inputs
        height, width = ops.shape(reference)[1:3]
        # Products with two matrices: keras.ops.image.resize knows neither the factor nor aligned
        # corners, and takes no size that is unknown until the graph runs.
        rows = self._weights(height, ops.shape(x)[1])
        columns = self._weights(width, ops.shape(x)[2])
        x = ops.einsum("rh,bhwc->brwc", ops.cast(rows, x.dtype), x)
        return ops.einsum("sw,brwc->brsc", ops.cast(columns, x.dtype), x)

    def _weights(self, new: Any, old: Any) -> Any:
        """Weights (R, S) of the old pixels in each new one, along one axis."""
        last = ops.cast(old - 1, "float32")
        centre = 0.0 if self.align_corners else 0.5
        if self.factor:
            scale = 1 / self.factor
        elif self.align_corners:
            scale = last / ops.cast(ops.maximum(new - 1, 1), "float32")
        else:
            scale = (last + 1) / ops.cast(new, "float32")
        at = (ops.cast(ops.arange(new), "float32") + centre) * scale - centre
        at = ops.minimum(ops.maximum(at, 0.0), last)
        distance = at[:, None] - ops.cast(ops.arange(old), "float32")[None]
        return ops.relu(1 - ops.abs(distance))

    def compute_output_shape(
        self, input_shape: list[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        x, reference = input_shape
        return (x[0], *reference[1:3], x[-1])

    def get_config(self) -> dict[str, Any]:
        config = {"align_corners": self.align_corners, "factor": self.factor}
        return {**super().get_config(), **config}
