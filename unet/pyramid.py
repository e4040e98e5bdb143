"""Averages over a fixed number of bins, whatever the size of the feature map."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="unet")
class AdaptiveAveragePooling(keras.layers.Layer):
    """Averages a feature map over a grid of bins x bins regions.

    Along an axis of S pixels, bin i covers the pixels from ``floor(i S / bins)`` up to but without
    ``ceil((i + 1) S / bins)``: neighbours share a pixel where bins does not divide S, and pixels
    repeat where S < bins. A layer of its own because S may be unknown (``None``) until an image
    arrives.

    Args:
        bins: along the height and along the width, >= 1.
        **kwargs: those of every Keras layer.

    Call arguments:
        x: ``(B, H, W, C)``.

    Output shape:
        ``(B, bins, bins, C)``.

    Example:
        >>> x = ops.reshape(ops.arange(3.0), (1, 3, 1, 1))  # means of pixels 0, 1 and 1, 2
        >>> [float(v) for v in ops.convert_to_numpy(AdaptiveAveragePooling(2)(x))[0, :, 0, 0]]
        [0.5, 1.5]
    """

    def __init__(self, bins: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bins = bins

    def call(self, x: Any) -> Any:
        rows, columns = (ops.cast(self._weights(size), x.dtype) for size in ops.shape(x)[1:3])
        x = ops.einsum("ph,bhwc->bpwc", rows, x)
        return ops.einsum("qw,bpwc->bpqc", columns, x)

    def _weights(self, size: Any) -> Any:
        """Weights (bins, S) of the pixels in each bin, along one axis."""
        i = ops.arange(self.bins, dtype="int32")[:, None]
        pixel = ops.arange(size, dtype="int32")[None]
        start = i * size // self.bins
        stop = ((i + 1) * size + self.bins - 1) // self.bins
        inside = ops.cast((pixel >= start) & (pixel < stop), "float32")
        return inside / ops.sum(inside, axis=1, keepdims=True)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.bins, self.bins, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins}
