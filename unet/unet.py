"""U-Net (Ronneberger, Fischer, Brox 2015) with padded convolutions, for images and volumes."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers

from unet.crop import CropTo

_CONVOLUTION = {2: layers.Conv2D, 3: layers.Conv3D}
_UP_CONVOLUTION = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}
_MAX_POOLING = {2: layers.MaxPooling2D, 3: layers.MaxPooling3D}

# Keras's own default may be channels first on some installations; this package is channels last.
_FORMAT = {"data_format": "channels_last"}


def unet(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    width: int = 64,
    depth: int = 4,
    dropout: float = 0.5,
    normalization: str | None = None,
) -> keras.Model:
    """Build a U-Net: image to logits at the same resolution.

    The network of the paper's figure 1, with ``same`` padding so that the output covers the whole
    image: 31,030,593 parameters by default for one channel in and one label out. An odd size is
    halved to the next larger whole number and the surplus is cut off after up-sampling; so every
    size from one pixel on works, and multiples of 2**depth are treated exactly as in the paper.

    Args:
        input_shape: ``(H, W, K)`` for images, ``(D, H, W, K)`` for volumes, without the batch.
            Sizes in pixels or voxels, ``None`` where they vary; K >= 1 image channels. Intensities
            of order one (e.g. zero mean, unit deviation) suit the initial weights.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        width: channels of the first level, >= 1; each level down doubles them.
        depth: number of poolings, >= 0.
        dropout: share of features, in [0, 1), dropped in training at the end of the contracting
            path (its two deepest levels). The paper names no rate; 0.5 is common.
        normalization: ``None`` as in the paper, ``"batch"``, or ``"group"`` (up to 8 groups,
            independent of the batch); between each 3x3 convolution and its ReLU.

    Returns:
        A ``keras.Model`` from images ``(B, *S, K)`` to logits ``(B, *S, L)``. Logits are at least
        float32, also under ``mixed_float16``: a loss or a CRF on top needs the precision.

    Raises:
        ValueError: if the shape is neither an image's nor a volume's, or an option out of range.

    Reference:
        - [U-Net: Convolutional Networks for Biomedical Image Segmentation](
          https://arxiv.org/abs/1505.04597)

    Example:
        >>> model = unet((37, 53, 1), num_labels=3, width=8, depth=2)
        >>> model.output_shape
        (None, 37, 53, 3)
    """
    _check(input_shape, num_labels, width, depth, dropout, normalization)
    rank = len(input_shape) - 1
    convolution, up_convolution = _CONVOLUTION[rank], _UP_CONVOLUTION[rank]
    initializer = "he_normal"  # section 3 of the paper: deviation sqrt(2 / incoming nodes)

    def two_convolutions(x: Any, channels: int, stage: str) -> Any:
        for i in (1, 2):
            x = convolution(
                channels,
                3,
                padding="same",
                kernel_initializer=initializer,
                name=f"{stage}_conv{i}",
                **_FORMAT,
            )(x)
            x = _normalize(x, normalization, channels, f"{stage}_norm{i}")
            x = layers.ReLU(name=f"{stage}_relu{i}")(x)
        return x

    image = keras.Input(input_shape, name="image")
    x, skips = image, []
    for level in range(depth + 1):
        x = two_convolutions(x, width * 2**level, f"down{level}")
        if dropout and level >= depth - 1:
            x = layers.Dropout(dropout, name=f"down{level}_dropout")(x)
        if level < depth:
            skips.append(x)
            # "same" rounds odd sizes up (S -> ceil(S / 2)): no pixel is lost and 1 stays 1.
            x = _MAX_POOLING[rank](2, padding="same", name=f"down{level}_pool", **_FORMAT)(x)

    for level in reversed(range(depth)):
        channels = width * 2**level
        x = up_convolution(
            channels, 2, strides=2, kernel_initializer=initializer, name=f"up{level}_up", **_FORMAT
        )(x)  # (B, *ceil(S / 2), 2C) -> (B, *2 ceil(S / 2), C)
        x = CropTo(name=f"up{level}_crop")([x, skips[level]])  # (B, *S, C)
        x = layers.Concatenate(name=f"up{level}_concat")([skips[level], x])  # (B, *S, 2C)
        x = two_convolutions(x, channels, f"up{level}")

    # float16 would round the logits before a loss or a CRF sees them.
    precise = "float64" if keras.config.dtype_policy().compute_dtype == "float64" else "float32"
    logits = convolution(
        num_labels, 1, kernel_initializer=initializer, dtype=precise, name="logits", **_FORMAT
    )(x)  # (B, *S, L)
    return keras.Model(image, logits, name="unet")


def _normalize(x: Any, kind: str | None, channels: int, name: str) -> Any:
    if kind == "batch":
        return layers.BatchNormalization(name=name)(x)
    if kind == "group":
        # The groups must divide the channels, and widths that are no multiple of 8 are allowed.
        return layers.GroupNormalization(math.gcd(8, channels), name=name)(x)
    return x


def _check(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    width: int,
    depth: int,
    dropout: float,
    normalization: str | None,
) -> None:
    if len(input_shape) not in (3, 4) or not input_shape[-1]:
        raise ValueError(
            "Invalid input_shape. Expected (H, W, K) or (D, H, W, K) without the batch, where only "
            f"K must be a number >= 1. Received: input_shape={tuple(input_shape)}"
        )
    for argument, value, least in (
        ("num_labels", num_labels, 1),
        ("width", width, 1),
        ("depth", depth, 0),
    ):
        if value < least:
            raise ValueError(
                f"Invalid {argument}. Expected an integer >= {least}. Received: {argument}={value}"
            )
    if not 0 <= dropout < 1:
        raise ValueError(f"Invalid dropout. Expected 0 <= dropout < 1. Received: dropout={dropout}")
    if normalization not in (None, "batch", "group"):
        raise ValueError(
            'Invalid normalization. Expected None, "batch" or "group". '
            f"Received: normalization={normalization!r}"
        )
