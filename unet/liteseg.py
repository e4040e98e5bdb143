"""LiteSeg (Emara et al. 2019): a small network with a deeper atrous pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from unet import mobilenet
from unet.arguments import check_at_least, check_shape_and_labels
from unet.blocks import FORMAT, INITIALIZER, convolution, logits, normalize, precise_dtype
from unet.resize import ResizeTo


def liteseg(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    width: int = 32,
    rates: Sequence[int] = (1, 3, 6, 9),
    weights: str | None = None,
) -> keras.Model:
    """Build LiteSeg on MobileNetV2: image to logits at the same resolution.

    A deeper atrous pyramid of separable convolutions reads the features at stride 32; its result is
    joined with features at stride 4. 3,101,707 parameters for three channels and 19 labels: the
    authors' 4.38 M count MobileNetV2's classifier, which the network does not use. Any size from
    one pixel on works.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        width: channels of the backbone's first convolution, >= 1; its others follow in proportion,
            and the pyramid and the decoder have 3 times as many.
        rates: dilations of the pyramid's branches in pixels of the features.
        weights: ``None`` for random ones, ``"imagenet"`` for those of a classifier in the backbone
            (width 32 and three channels); see ``unet.mobilenet.load_weights``.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32.

    Raises:
        ValueError: if the shape is no image's or an option out of range.
        RuntimeError: if weights cannot be downloaded.

    Reference:
        - [LiteSeg: A Novel Lightweight ConvNet for Semantic Segmentation](
          https://arxiv.org/abs/1912.06683)

    Example:
        >>> liteseg((37, 53, 3), num_labels=19, width=2).output_shape
        (None, 37, 53, 19)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_at_least(1, width=width, **{"number of rates": len(rates)})
    mobilenet.check_weights(weights, width, input_shape[-1])
    image = keras.Input(input_shape, name="image")
    _, low, *_, high = mobilenet.mobilenetv2(image, width=width)
    x = deeper_pyramid(high, 3 * width, rates)
    x = ResizeTo(align_corners=True, factor=8, name="up")([x, low])  # stride 32 to 4
    x = layers.Concatenate(name="decoder_concat")([x, low])
    for i in (1, 2):
        x = separable(x, 3 * width, 3, f"decoder{i}")
    x = logits(x, num_labels, name="score")
    x = ResizeTo(align_corners=True, factor=4, dtype=precise_dtype(), name="logits")([x, image])
    model = keras.Model(image, x, name="liteseg")
    mobilenet.load_weights(keras.Model(image, high), weights)
    return model


def deeper_pyramid(x: Any, channels: int, rates: Sequence[int]) -> Any:
    """Append the deeper atrous pyramid: ``(B, H, W, C)`` to ``(B, H, W, channels)``.

    A branch for each rate: 1x1 for rate 1, else 3x3 dilated by the rate and another 3x3 behind it.
    They are joined with the image's mean and with the features themselves.
    """
    branches = []
    for i, rate in enumerate(rates):
        y = separable(x, channels, 3 if rate > 1 else 1, f"pyramid{i}", dilation=rate)
        branches.append(separable(y, channels, 3, f"pyramid{i}_deeper") if rate > 1 else y)
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="pyramid_mean", **FORMAT)(x)
    mean = convolution(
        mean, channels, 1, use_bias=False, normalization="batch", name="pyramid_image"
    )
    branches.append(ResizeTo(name="pyramid_spread")([mean, x]))  # (B, 1, 1, C) -> (B, H, W, C)
    x = layers.Concatenate(name="pyramid_concat")([*branches, x])
    return separable(x, channels, 1, "pyramid_join")


def separable(x: Any, channels: int, kernel_size: int, name: str, dilation: int = 1) -> Any:
    """Append a depthwise and a 1x1 convolution, batch norm and ReLU."""
    x = layers.SeparableConv2D(
        channels,
        kernel_size,
        padding="same",
        dilation_rate=dilation,
        use_bias=False,
        # Deviation sqrt(1 / incoming nodes), as no ReLU stands between the two convolutions.
        # Keras's own initialiser would count the nodes of all channels.
        depthwise_initializer=keras.initializers.RandomNormal(stddev=1 / kernel_size),
        pointwise_initializer=INITIALIZER,
        name=name,
        **FORMAT,
    )(x)
    return layers.ReLU(name=f"{name}_relu")(normalize(x, "batch", f"{name}_norm"))
