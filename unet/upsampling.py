"""Up-sampling by a transposed convolution that starts as bilinear interpolation."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from unet.blocks import FORMAT, precise_dtype


@keras.saving.register_keras_serializable(package="unet")
class Bilinear(keras.initializers.Initializer):
    """Kernel of a transposed convolution that interpolates each channel bilinearly by itself.

    For up-sampling by a factor f the kernel has 2 f x 2 f or 2 f - 1 x 2 f - 1 taps; the one at
    distance d (in pixels, along an axis) from the centre weighs 1 - d / f. All weights between
    different channels are 0.

    Call arguments:
        shape: ``(2 f, 2 f, C, C)`` or ``(2 f - 1, 2 f - 1, C, C)``.

    Example:
        >>> kernel = ops.convert_to_numpy(Bilinear()((4, 4, 2, 2)))
        >>> kernel[:, 1, 0, 0].tolist(), float(kernel[:, :, 0, 1].sum())
        ([0.1875, 0.5625, 0.5625, 0.1875], 0.0)
    """

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Any:
        size, _, out_channels, in_channels = shape
        distance = np.abs(np.arange(size) - (size - 1) / 2)
        taps = 1 - distance / ((size + 1) // 2)
        kernel = np.einsum("i,j,ck->ijck", taps, taps, np.eye(out_channels, in_channels))
        return ops.convert_to_tensor(kernel, dtype=dtype)


def upsample(x: Any, factor: int, *, learned: bool, name: str, taps: int | None = None) -> Any:
    """Append a transposed convolution that enlarges logits ``factor`` times.

    Args:
        x: logits ``(B, H, W, L)``.
        factor: >= 2.
        learned: whether its weights are trained or stay bilinear.
        name: of the layer.
        taps: along an axis of the kernel, ``2 factor``, or one less; ``None`` = ``2 factor``.

    Returns:
        ``(B, (H + 1) factor, (W + 1) factor, L)``: with half a factor of border on every side that
        only the outermost pixels reach. One pixel less along each axis with one tap less.

    Example:
        >>> upsample(keras.Input((5, 7, 3)), 2, learned=False, name="up").shape
        (None, 12, 16, 3)
    """
    return layers.Conv2DTranspose(
        x.shape[-1],
        taps or 2 * factor,
        strides=factor,
        use_bias=False,
        kernel_initializer=Bilinear(),
        trainable=learned,
        dtype=precise_dtype(),
        name=name,
        **FORMAT,
    )(x)
