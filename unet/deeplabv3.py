"""DeepLab v3 (Chen et al. 2017): dilated ResNet, pyramid of dilations beside the image's mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from unet import resnet
from unet.arguments import check_one_of, check_shape_and_labels
from unet.blocks import FORMAT, convolution, logits, precise_dtype
from unet.resize import ResizeTo


def deeplabv3(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    depth: int = 101,
    width: int = 64,
    output_stride: int = 16,
    multi_grid: Sequence[int] = (1, 2, 4),
    rates: Sequence[int] = (6, 12, 18),
    weights: str | None = None,
) -> keras.Model:
    """Build DeepLab v3: image to logits at the same resolution.

    Five branches of 256 channels on a dilated ResNet: 1x1, 3x3 at three dilations, and the mean of
    the whole image; joined, brought to 256 channels by 1x1 and scored by another 1x1. On three
    channels with 21 labels 58,040,661 parameters, with ``depth=50`` 39,048,533. (torchvision's
    has one more 3x3 convolution before the scores.) Any size from one pixel on works; the scores
    are interpolated bilinearly, at sizes 16 n + 1 as in the authors' release.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        depth: layers of the ResNet: 18, 34, 50, 101 or 152.
        width: channels of its first stage, >= 1; the branches have 4 times as many.
        output_stride: 16, or 8 for finer and more expensive features; pixels of the image per
            pixel of the features.
        multi_grid: factor of the dilation for each block of the last stage (three blocks, two for
            ``depth=18``).
        rates: dilations of the branches in pixels of the features at output stride 16; they are
            doubled at 8, where pixels are half as large.
        weights: ``None`` for random ones, ``"imagenet"`` for those of a classifier in the ResNet
            (depth 50, 101 or 152, width 64, three channels); see ``unet.resnet.load_weights``.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32.

    Raises:
        ValueError: if the shape is no image's or an option out of range.
        RuntimeError: if weights cannot be downloaded.

    Reference:
        - [Rethinking Atrous Convolution for Semantic Image Segmentation](
          https://arxiv.org/abs/1706.05587), section 3 and figure 5

    Example:
        >>> deeplabv3((37, 53, 3), 21, depth=18, width=2, multi_grid=(1, 2)).output_shape
        (None, 37, 53, 21)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_one_of((16, 8), output_stride=output_stride)
    resnet.check_weights(weights, depth, width, input_shape[-1])
    image = keras.Input(input_shape, name="image")
    x = resnet.resnet(
        image, depth, width=width, output_stride=output_stride, multi_grid=multi_grid
    )[-1]
    x = atrous_pyramid(x, 4 * width, [rate * 16 // output_stride for rate in rates])
    x = logits(x, num_labels, name="score")
    x = ResizeTo(align_corners=True, factor=output_stride, dtype=precise_dtype(), name="logits")(
        [x, image]
    )
    model = keras.Model(image, x, name="deeplabv3")
    resnet.load_weights(model, depth, weights)
    return model


def atrous_pyramid(x: Any, channels: int, rates: Sequence[int]) -> Any:
    """Append the atrous spatial pyramid: ``(B, H, W, C)`` to ``(B, H, W, channels)``.

    Batch norm follows each convolution.
    """

    def convolved(x: Any, kernel_size: int, name: str, dilation: int = 1) -> Any:
        return convolution(
            x,
            channels,
            kernel_size,
            dilation=dilation,
            use_bias=False,
            normalization="batch",
            name=name,
        )

    branches = [convolved(x, 1, "aspp_0")]
    branches += [convolved(x, 3, f"aspp_{i}", rate) for i, rate in enumerate(rates, start=1)]
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="aspp_mean", **FORMAT)(x)
    mean = convolved(mean, 1, "aspp_image")
    branches.append(ResizeTo(name="aspp_spread")([mean, x]))  # (B, 1, 1, C) -> (B, H, W, C)
    x = layers.Concatenate(name="aspp_concat")(branches)
    return convolved(x, 1, "aspp_join")
