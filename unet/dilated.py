"""Dilated VGG16 (Yu, Koltun 2016), by itself or with the context module behind it."""

from __future__ import annotations

import keras
from keras import layers

from unet import vgg
from unet.arguments import check_at_least, check_dropout, check_one_of, check_shape_and_labels
from unet.blocks import convolution, logits, precise_dtype
from unet.context import WIDTHS, context_module
from unet.padding import MirrorPad
from unet.resize import ResizeTo

# What the valid convolutions use up on each side, in pixels of the image: of 3x3 two at stride 1,
# two at stride 2, three at 4, three at 8 and three there dilated by 2, then 7x7 dilated by 4.
PADDING = 2 + 2 * 2 + 4 * 3 + 8 * (3 + 3 * 2 + 3 * 4)  # 186


def dilated(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    context: str | None = None,
    width: int = 64,
    padding: str = "mirror",
    normalization: str | None = None,
    dropout: float = 0.5,
    weights: str | None = None,
) -> keras.Model:
    """Build the dilated front end: image to logits at the same resolution.

    VGG16 without its last two poolings; the convolutions behind them are dilated by 2 and 4 in
    their place. Scores at every 8th pixel, 134,346,581 parameters for three channels and 21 labels.
    The context module may refine them before they are interpolated bilinearly. (The paper trains
    the front end first; ``unet.transfer.initialize_from`` then hands on its weights.) Any size from
    one pixel on works.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        context: ``None`` for none, ``"basic"`` or ``"large"``; see ``unet.context.context_module``.
        width: channels of the first stage, >= 1; the last has 8 times, fc6 and fc7 64 times as
            many.
        padding: ``"mirror"`` as in the paper: the image is continued by 186 mirrored pixels on
            every side, and no convolution pads; ``"same"``: zeros around every convolution's
            input, much faster on small images.
        normalization: ``None`` as in the paper, ``"batch"`` or ``"group"``; after the front end's
            convolutions that have a ReLU. Without it, deep VGG networks learn badly from random
            weights.
        dropout: share of features, in [0, 1), dropped in training after fc6 and fc7.
        weights: ``None`` for random ones, ``"imagenet"`` for those of a VGG16 classifier (width 64
            and three channels); see ``unet.vgg.load_weights``.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32.

    Raises:
        ValueError: if the shape is no image's or an option out of range.
        RuntimeError: if weights cannot be downloaded.

    Reference:
        - [Multi-Scale Context Aggregation by Dilated Convolutions](
          https://arxiv.org/abs/1511.07122), sections 3 and 4

    Example:
        >>> dilated((37, 53, 3), num_labels=21, width=2).output_shape
        (None, 37, 53, 21)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_at_least(1, width=width)
    check_one_of((None, *WIDTHS), context=context)
    check_one_of(("mirror", "same"), padding=padding)
    check_one_of((None, "batch", "group"), normalization=normalization)
    check_dropout(dropout)
    vgg.check_weights(weights, width, input_shape[-1])
    image = keras.Input(input_shape, name="image")
    mirror = padding == "mirror"
    inner = "valid" if mirror else "same"
    x = vgg.vgg16(
        MirrorPad(PADDING, name="mirror")(image) if mirror else image,
        width=width,
        normalization=normalization,
        strides=(2, 2, 2, None, None),
        dilations=(1, 1, 1, 1, 2),
        padding=inner,
    )[-1]
    for name, kernel_size, dilation in (("fc6", 7, 4), ("fc7", 1, 1)):
        x = convolution(
            x,
            64 * width,
            kernel_size,
            dilation=dilation,
            padding=inner,
            normalization=normalization,
            name=name,
        )
        if dropout:
            x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    x = logits(x, num_labels, name="score")  # (B, ceil(H / 8), ceil(W / 8), L)
    if context:
        x = context_module(x, context)
    x = ResizeTo(factor=8, dtype=precise_dtype(), name="logits")([x, image])
    model = keras.Model(image, x, name="dilated_context" if context else "dilated")
    vgg.load_weights(model, weights)
    return model
