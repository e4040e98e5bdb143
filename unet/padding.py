"""Layers that enlarge images and feature maps of any size."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="unet")
class MirrorPad(keras.layers.Layer):
    """Continues an image beyond its border by mirroring it there.

    The border pixel itself is not repeated (NumPy's ``"reflect"``). Images smaller than the padding
    are mirrored as often as it takes, where the padding of most libraries refuses.

    Args:
        before: pixels to add at the origin of every spatial axis.
        after: pixels to add at its far end; ``None`` = as ``before``.

    Call arguments:
        x: ``(B, *S, C)``, S >= 1 along each axis.

    Output shape:
        ``(B, *(before + S + after), C)``.

    Example:
        >>> x = MirrorPad(3)(ops.reshape(ops.arange(3.0), (1, 3, 1)))
        >>> [int(value) for value in ops.convert_to_numpy(x).ravel()]
        [1, 2, 1, 0, 1, 2, 1, 0, 1]
    """

    def __init__(self, before: int, after: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.before = before
        self.after = before if after is None else after

    def call(self, x: Any) -> Any:
        for axis, size in enumerate(ops.shape(x)[1:-1], start=1):
            # The mirrored image repeats after 2 (S - 1) pixels; of one pixel, after every one.
            last = size - 1
            period = max(2 * last, 1) if isinstance(size, int) else ops.maximum(2 * last, 1)
            position = ops.arange(-self.before, size + self.after, dtype="int32") % period
            x = ops.take(x, ops.minimum(position, period - position) % size, axis=axis)
        return x

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sizes, channels = input_shape
        return (batch, *(s and self.before + s + self.after for s in sizes), channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "before": self.before, "after": self.after}


@keras.saving.register_keras_serializable(package="unet")
class PadToAtLeast(keras.layers.Layer):
    """Adds zeros at the far end of every spatial axis that is shorter than a least size.

    Args:
        least: the least size in pixels, >= 1.

    Call arguments:
        x: ``(B, H, W, C)``.

    Output shape:
        ``(B, max(H, least), max(W, least), C)``.

    Example:
        >>> PadToAtLeast(7)(ops.ones((1, 2, 9, 4))).shape == (1, 7, 9, 4)
        True
    """

    def __init__(self, least: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.least = least

    def call(self, x: Any) -> Any:
        def padded(size: Any) -> Any:
            known = isinstance(size, int)
            return max(size, self.least) if known else ops.maximum(size, self.least)

        height, width = (padded(size) for size in ops.shape(x)[1:3])
        # As many zeros as can be needed, then a cut: so no padding depends on an unknown size.
        surplus = (0, self.least - 1)
        return ops.pad(x, ((0, 0), surplus, surplus, (0, 0)))[:, :height, :width]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sizes, channels = input_shape
        return (batch, *(s and max(s, self.least) for s in sizes), channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "least": self.least}
