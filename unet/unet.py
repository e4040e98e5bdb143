"""U-Net (Ronneberger, Fischer, Brox 2015) for images and volumes."""

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
from unet.padding import MirrorPad
from unet.resize import ResizeTo

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
    padding: str = "same",
    output_stride: int = 1,
) -> keras.Model:
    """Build a U-Net: image to logits at the same resolution.

    The network of the paper's figure 1: 31,030,593 parameters by default for one channel in and one
    label out. By default its convolutions pad with zeros so that the output covers the whole image.
    An odd size is halved to the next larger whole number and the surplus is cut off after
    up-sampling; so every size from one pixel on works, and multiples of 2**depth are treated
    exactly as in the paper.

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
        padding: ``"same"``: zeros around features, as above. ``"valid"``: none, as in the paper;
            the skips are cropped, and the output is smaller than the image by a border of 92 pixels
            on every side (572 pixels in, 388 out; of sizes that halving does not divide, up to 15
            more are lost at the far end; see :func:`border` for other depths). ``"mirror"``: the
            same network on an image continued by mirroring, the paper's way to the border pixels
            (its overlap-tile strategy), so that the output covers the whole image; any size works.
        output_stride: a power of two, 1..2**depth, in pixels: the expanding path ends at the level
            whose features are so far apart, and the logits found there are enlarged bilinearly. 8
            is a network as coarse as an FCN-8s, with all else a U-Net's. More than 1 needs an image
            and ``padding="same"``.

    Returns:
        A ``keras.Model`` from images ``(B, *S, K)`` to logits ``(B, *S, L)``, smaller with
        ``padding="valid"``. Logits are at least float32, also under ``mixed_float16``: a loss or a
        CRF on top needs the precision.

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
    check_one_of(("same", "valid", "mirror"), padding=padding)
    strides = tuple(2**level for level in range(depth + 1))
    check_one_of(strides, output_stride=output_stride)
    if output_stride > 1 and (padding != "same" or len(input_shape) != 3):
        raise ValueError(
            "output_stride > 1 needs padding='same' and an image, input_shape (H, W, K). "
            f"Received: padding={padding!r}, input_shape={input_shape}"
        )
    inside = "same" if padding == "same" else "valid"
    rank = len(input_shape) - 1

    def two_convolutions(x: Any, channels: int, stage: str) -> Any:
        for i in (1, 2):
            x = blocks.convolution(
                x, channels, padding=inside, normalization=normalization, name=f"{stage}_conv{i}"
            )
        return x

    image = keras.Input(input_shape, name="image")
    x, skips = image, []
    if padding == "mirror":
        # At the far end also what poolings may drop: they round down where nothing is padded.
        x = MirrorPad(border(depth), border(depth) + 2**depth - 1, name="mirror")(image)
    for level in range(depth + 1):
        x = two_convolutions(x, width * 2**level, f"down{level}")
        if dropout and level >= depth - 1:
            x = layers.Dropout(dropout, name=f"down{level}_dropout")(x)
        if level < depth:
            skips.append(x)
            # "same" rounds odd sizes up (S -> ceil(S / 2)): no pixel is lost and 1 stays 1.
            x = _MAX_POOLING[rank](2, padding=inside, name=f"down{level}_pool", **blocks.FORMAT)(x)

    for level in reversed(range(strides.index(output_stride), depth)):
        channels = width * 2**level
        x = _UP_CONVOLUTION[rank](
            channels,
            2,
            strides=2,
            kernel_initializer=blocks.INITIALIZER,
            name=f"up{level}_up",
            **blocks.FORMAT,
        )(x)  # (B, *ceil(S / 2), 2C) -> (B, *2 ceil(S / 2), C)
        skip, name = skips[level], f"up{level}_crop"
        if inside == "same":
            x = CropTo(name=name)([x, skip])  # (B, *S, C)
        else:
            # The skip's middle: what it has around x is what the levels below lost on each side.
            skip = CropTo(border(depth - level) - 4, name=name)([skip, x])
        x = layers.Concatenate(name=f"up{level}_concat")([skip, x])  # (B, *S, 2C)
        x = two_convolutions(x, channels, f"up{level}")

    x = blocks.logits(x, num_labels)  # (B, *S, L); of a coarse network (B, H', W', L)
    if output_stride > 1:
        # Poolings round sizes up, so that a factor is known where a quotient of sizes would drift.
        x = ResizeTo(factor=output_stride, dtype=blocks.precise_dtype(), name="enlarge")([x, image])
    if padding == "mirror":
        x = CropTo(dtype=blocks.precise_dtype(), name="logits_crop")([x, image])
    return keras.Model(image, x, name="unet")


def border(depth: int) -> int:
    """Pixels that an unpadded U-Net loses on every side.

    Two convolutions lose two pixels on the way down and two on the way up, and what the levels
    below lose counts twice: 92 for the paper's four poolings.

    Example:
        >>> border(4)
        92
    """
    return 2 if depth == 0 else 4 + 2 * border(depth - 1)
