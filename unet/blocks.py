"""Blocks of layers that several networks share."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers

# Keras's own default may be channels first on some installations; this package is channels last.
FORMAT = {"data_format": "channels_last"}

CONVOLUTION = {2: layers.Conv2D, 3: layers.Conv3D}  # by number of spatial axes

# Deviation sqrt(2 / incoming nodes), which keeps the size of signals through convolution and ReLU.
INITIALIZER = "he_normal"


def convolution(
    x: Any,
    channels: int,
    kernel_size: int | tuple[int, int] = 3,
    *,
    strides: int = 1,
    dilation: int = 1,
    groups: int = 1,
    padding: str = "same",
    use_bias: bool = True,
    normalization: str | None = None,
    activation: str | None = "relu",
    initializer: str = INITIALIZER,
    name: str,
) -> Any:
    """Append convolution, normalisation and activation.

    Args:
        x: features ``(B, H, W, C)`` or ``(B, D, H, W, C)``.
        channels: of the output.
        kernel_size: in pixels.
        strides: of the output positions, in pixels.
        dilation: distance between two taps of the kernel, in pixels.
        groups: of channels that the convolution keeps apart.
        padding: ``"same"`` or ``"valid"``.
        use_bias: whether the convolution adds a bias.
        normalization: ``None``, ``"batch"`` or ``"group"``; see :func:`normalize`.
        activation: ``"relu"``, the name of another, or ``None``.
        initializer: of the kernel.
        name: of the convolution; the others are called ``name_norm`` and ``name_relu``.

    Returns:
        Features with ``channels`` channels.

    Example:
        >>> x = keras.Input((37, 53, 3))
        >>> convolution(x, 8, strides=2, normalization="batch", name="stem").shape
        (None, 19, 27, 8)
    """
    x = CONVOLUTION[len(x.shape) - 2](
        channels,
        kernel_size,
        strides=strides,
        padding=padding,
        dilation_rate=dilation,
        groups=groups,
        use_bias=use_bias,
        kernel_initializer=initializer,
        name=name,
        **FORMAT,
    )(x)
    x = normalize(x, normalization, f"{name}_norm")
    return layers.Activation(activation, name=f"{name}_{activation}")(x) if activation else x


def normalize(x: Any, kind: str | None, name: str) -> Any:
    """Append a normalisation of features.

    Args:
        x: features, channels last.
        kind: ``None`` for none, ``"batch"``, or ``"group"`` (up to 8 groups, independent of the
            batch).
        name: of the layer.

    Example:
        >>> normalize(keras.Input((9, 7, 6)), "group", "norm").shape
        (None, 9, 7, 6)
    """
    if kind == "batch":
        return layers.BatchNormalization(name=name)(x)
    if kind == "group":
        # The groups must divide the channels, and widths that are no multiple of 8 are allowed.
        return layers.GroupNormalization(math.gcd(8, x.shape[-1]), name=name)(x)
    return x


def logits(
    x: Any,
    num_labels: int,
    kernel_size: int | tuple[int, int] = 1,
    *,
    dilation: int = 1,
    use_bias: bool = True,
    initializer: str = INITIALIZER,
    name: str = "logits",
) -> Any:
    """Append the convolution from features to one logit per label.

    It computes in float32 at least, also under ``mixed_float16``: float16 would round the logits
    before a loss or a CRF sees them. What follows (resizing, adding) should be made with
    ``dtype=precise_dtype()`` for the same reason.

    Args:
        x: features ``(B, *S, C)``.
        num_labels: number of labels L.
        kernel_size: in pixels.
        dilation: distance between two taps of the kernel, in pixels.
        use_bias: whether the convolution adds a bias.
        initializer: of the kernel.
        name: of the layer.

    Returns:
        Logits ``(B, *S, L)``.

    Example:
        >>> logits(keras.Input((37, 53, 8)), num_labels=3).shape
        (None, 37, 53, 3)
    """
    return CONVOLUTION[len(x.shape) - 2](
        num_labels,
        kernel_size,
        padding="same",
        dilation_rate=dilation,
        use_bias=use_bias,
        kernel_initializer=initializer,
        dtype=precise_dtype(),
        name=name,
        **FORMAT,
    )(x)


def precise_dtype() -> str:
    """The dtype of logits: float64 if that is the policy, else float32.

    Example:
        >>> precise_dtype()
        'float32'
    """
    return "float64" if keras.config.dtype_policy().compute_dtype == "float64" else "float32"
