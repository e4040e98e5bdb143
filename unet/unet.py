"""U-Net (Ronneberger, Fischer, Brox 2015) with padded convolutions, for images and volumes."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from unet import blocks
from unet.arguments import (
    check_at_least,
    check_dropout,
    check_one_of,
    check_shape_and_labels,
)
from unet.crop import CropTo

_UP_CONVOLUTION = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}
_MAX_POOLING = {2: layers.MaxPooling2D, 3: layers.MaxPooling3D}


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
    check_shape_and_labels(input_shape, num_labels, volumes=True)
    check_at_least(1, width=width)
    check_at_least(0, depth=depth)
    check_dropout(dropout)
    check_one_of((None, "batch", "group"), normalization=normalization)
    rank = len(input_shape) - 1

    def two_convolutions(x: Any, channels: int, stage: str) -> Any:
        for i in (1, 2):
            x = blocks.convolution(
                x, channels, normalization=normalization, name=f"{stage}_conv{i}"
            )
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
            x = _MAX_POOLING[rank](2, padding="same", name=f"down{level}_pool", **blocks.FORMAT)(x)

    for level in reversed(range(depth)):
        channels = width * 2**level
        x = _UP_CONVOLUTION[rank](
            channels,
            2,
            strides=2,
            kernel_initializer=blocks.INITIALIZER,
            name=f"up{level}_up",
            **blocks.FORMAT,
        )(x)  # (B, *ceil(S / 2), 2C) -> (B, *2 ceil(S / 2), C)
        x = CropTo(name=f"up{level}_crop")([x, skips[level]])  # (B, *S, C)
        x = layers.Concatenate(name=f"up{level}_concat")([skips[level], x])  # (B, *S, 2C)
        x = two_convolutions(x, channels, f"up{level}")

    return keras.Model(image, blocks.logits(x, num_labels), name="unet")  # (B, *S, L)
