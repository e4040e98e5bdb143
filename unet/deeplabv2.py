"""DeepLab v2 (Chen et al. 2018): atrous spatial pyramid pooling, a sum of dilated scores."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from unet import resnet, vgg
from unet.arguments import check_at_least, check_dropout, check_one_of, check_shape_and_labels
from unet.blocks import logits, precise_dtype
from unet.deeplabv1 import dilated_vgg16, fully_connected
from unet.resize import ResizeTo


def deeplabv2(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    depth: int = 101,
    width: int = 64,
    rates: Sequence[int] = (6, 12, 18, 24),
    normalization: str | None = None,
    dropout: float = 0.5,
    weights: str | None = None,
) -> keras.Model:
    """Build DeepLab v2 with ASPP: image to logits at the same resolution.

    A ResNet at output stride 8, or the VGG16 of DeepLab v1; then one branch for each rate, and the
    sum of their scores. On three channels with 21 labels, ResNet-101 has 44,048,532 parameters, all
    branches being single 3x3 convolutions, and VGG16 (the paper's ASPP-L) 37,877,652, each branch
    having the layers fc6, fc7 and fc8 of v1. Any size from one pixel on works; the scores are
    interpolated bilinearly, at sizes 8 n + 1 as in the authors' release. The paper also takes the
    maximum over three scales of the image, which is left to the caller.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        depth: layers of the backbone: 16 for VGG16, or 18, 34, 50, 101, 152 for a ResNet.
        width: channels of the backbone's first stage, >= 1.
        rates: dilations of the branches, in pixels of the scores.
        normalization: for VGG16 only, as in ``unet.deeplabv1.deeplabv1``; a ResNet always has
            batch norm.
        dropout: share of features, in [0, 1), dropped in training after fc6 and fc7 of VGG16.
        weights: ``None`` for random ones, ``"imagenet"`` for those of a classifier in the backbone
            (width 64, three channels, depth 16, 50, 101 or 152); see ``unet.vgg.load_weights`` and
            ``unet.resnet.load_weights``.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32.

    Raises:
        ValueError: if the shape is no image's or an option out of range.
        RuntimeError: if weights cannot be downloaded.

    Reference:
        - [DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous Convolution,
          and Fully Connected CRFs](https://arxiv.org/abs/1606.00915), figure 7

    Example:
        >>> deeplabv2((37, 53, 3), num_labels=21, depth=18, width=2).output_shape
        (None, 37, 53, 21)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_one_of((16, *resnet.BLOCKS), depth=depth)
    check_at_least(1, width=width, **{"number of rates": len(rates)})
    check_one_of((None, "batch", "group"), normalization=normalization)
    check_dropout(dropout)
    on_vgg = depth == 16
    if on_vgg:
        vgg.check_weights(weights, width, input_shape[-1])
    else:
        resnet.check_weights(weights, depth, width, input_shape[-1])

    image = keras.Input(input_shape, name="image")
    if on_vgg:
        x = dilated_vgg16(image, width=width, normalization=normalization)
        scores = [
            fully_connected(
                x,
                num_labels,
                16 * width,
                rate,
                normalization=normalization,
                dropout=dropout,
                suffix=f"_{i}",
            )
            for i, rate in enumerate(rates)
        ]
    else:
        x = resnet.resnet(image, depth, width=width, output_stride=8)[-1]
        scores = [
            logits(x, num_labels, 3, dilation=rate, name=f"fc1_{i}") for i, rate in enumerate(rates)
        ]
    x = layers.Add(dtype=precise_dtype(), name="sum")(scores) if len(scores) > 1 else scores[0]
    x = ResizeTo(align_corners=True, factor=8, dtype=precise_dtype(), name="logits")([x, image])
    model = keras.Model(image, x, name="deeplabv2")
    if on_vgg:
        vgg.load_weights(model, weights)
    else:
        resnet.load_weights(model, depth, weights)
    return model
