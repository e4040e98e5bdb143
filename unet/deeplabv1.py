"""DeepLab v1 (Chen et al. 2015): dilated VGG16 with a large field of view."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from unet import vgg
from unet.arguments import check_at_least, check_dropout, check_one_of, check_shape_and_labels
from unet.blocks import convolution, logits, precise_dtype
from unet.resize import ResizeTo


def deeplabv1(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    width: int = 64,
    rate: int = 12,
    normalization: str | None = None,
    dropout: float = 0.5,
    weights: str | None = None,
) -> keras.Model:
    """Build DeepLab-LargeFOV: image to logits at the same resolution.

    The last two poolings of VGG16 do not stride, so that there are scores at every 8th pixel; the
    convolutions after the fourth are dilated by 2, and the first one that was fully connected is
    3x3, dilated by ``rate``. 20,505,429 parameters for three channels and 21 labels. Any size from
    one pixel on works; the scores are interpolated bilinearly, at sizes 8 n + 1 as in the authors'
    release.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        width: channels of the first stage, >= 1; the last has 8 times, fc6 and fc7 16 times as
            many.
        rate: dilation of fc6 in pixels of the scores.
        normalization: ``None`` as in the paper, ``"batch"`` or ``"group"``; after the convolutions
            that have a ReLU. Without it, deep VGG networks learn badly from random weights.
        dropout: share of features, in [0, 1), dropped in training after fc6 and fc7.
        weights: ``None`` for random ones, ``"imagenet"`` for those of a VGG16 classifier in the
            thirteen convolutions (width 64 and three channels); see ``unet.vgg.load_weights``.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32.

    Raises:
        ValueError: if the shape is no image's or an option out of range.
        RuntimeError: if weights cannot be downloaded.

    Reference:
        - [Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs](
          https://arxiv.org/abs/1412.7062)

    Example:
        >>> deeplabv1((37, 53, 3), num_labels=21, width=2).output_shape
        (None, 37, 53, 21)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_at_least(1, width=width, rate=rate)
    check_one_of((None, "batch", "group"), normalization=normalization)
    check_dropout(dropout)
    vgg.check_weights(weights, width, input_shape[-1])
    image = keras.Input(input_shape, name="image")
    x = dilated_vgg16(image, width=width, normalization=normalization)
    x = fully_connected(
        x, num_labels, 16 * width, rate, normalization=normalization, dropout=dropout
    )
    x = ResizeTo(align_corners=True, factor=8, dtype=precise_dtype(), name="logits")([x, image])
    model = keras.Model(image, x, name="deeplabv1")
    vgg.load_weights(model, weights)
    return model


def dilated_vgg16(image: Any, *, width: int, normalization: str | None) -> Any:
    """Append VGG16 at output stride 8: ``(B, H, W, K)`` to ``(B, ceil(H/8), ceil(W/8), 8 width)``.

    Poolings are 3x3 and centred, as in the authors' release; the paper does not name their size.
    """
    return vgg.vgg16(
        image,
        width=width,
        normalization=normalization,
        strides=(2, 2, 2, 1, 1),
        pool_size=3,
        dilations=(1, 1, 1, 1, 2),
    )[-1]


def fully_connected(
    x: Any,
    num_labels: int,
    channels: int,
    rate: int,
    *,
    normalization: str | None,
    dropout: float,
    suffix: str = "",
) -> Any:
    """Append fc6 (3x3, dilated by ``rate``), fc7 and the scores fc8, names followed by a suffix."""
    for name, kernel_size, dilation in (("fc6", 3, rate), ("fc7", 1, 1)):
        x = convolution(
            x,
            channels,
            kernel_size,
            dilation=dilation,
            normalization=normalization,
            name=f"{name}{suffix}",
        )
        if dropout:
            x = layers.Dropout(dropout, name=f"{name}{suffix}_dropout")(x)
    return logits(x, num_labels, name=f"fc8{suffix}")
