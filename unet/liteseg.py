"""LiteSeg (Emara et al. 2019): a small network with a deeper atrous pyramid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import layers

from unet import mobilenet
from unet.arguments import check_at_least, check_one_of, check_shape_and_labels
from unet.blocks import FORMAT, INITIALIZER, convolution, logits, normalize, precise_dtype
from unet.darknet import darknet19
from unet.resize import ResizeTo
from unet.shufflenet import shufflenet


class Backbone(NamedTuple):
    """What LiteSeg takes from a backbone, and where its widths stand beside the pyramid's 96."""

    features: Callable[..., list[Any]]  # (image, width) -> features
    width: int  # of the first convolution
    low: int  # index of the features that join in the decoder
    reduced: int | None  # channels that a 1x1 convolution reduces them to; None = as they are
    stride: int  # of these features, in pixels
    factor: int  # from their stride to that of the last features
    align_corners: bool  # how their positions lie in the image; see unet.resize


BACKBONES = {
    "mobilenetv2": Backbone(mobilenet.mobilenetv2, 32, 1, None, 4, 8, True),
    "darknet19": Backbone(darknet19, 32, 2, 32, 4, 4, False),
    "shufflenet": Backbone(shufflenet, 24, 1, 48, 8, 2, True),
}


def liteseg(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    backbone: str = "mobilenetv2",
    width: int = 96,
    rates: Sequence[int] = (1, 3, 6, 9),
    weights: str | None = None,
) -> keras.Model:
    """Build LiteSeg: image to logits at the same resolution.

    A deeper atrous pyramid of separable convolutions reads the last features of a small backbone;
    its result is joined with features of higher resolution. On three channels with 19 labels
    3,101,707 parameters on MobileNetV2, 20,545,331 on Darknet-19 and 1,951,531 on ShuffleNet. (The
    authors' 4.38 M and 3.51 M for the first and the last count classifiers of 1000 classes, which
    the network does not use.) Any size from one pixel on works.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        backbone: ``"mobilenetv2"``, ``"darknet19"`` or ``"shufflenet"`` (8 groups).
        width: channels of the pyramid and the decoder, >= 1; those of the backbone follow in
            proportion.
        rates: dilations of the pyramid's branches in pixels of the features.
        weights: ``None`` for random ones, ``"imagenet"`` for those of a classifier in
            MobileNetV2 (width 96 and three channels); see ``unet.mobilenet.load_weights``.

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
    check_one_of(BACKBONES, backbone=backbone)
    check_at_least(1, width=width, **{"number of rates": len(rates)})
    part = BACKBONES[backbone]

    def scaled(channels: int) -> int:
        return max(channels * width // 96, 1)

    check_weights(weights, backbone, width, input_shape[-1])
    image = keras.Input(input_shape, name="image")
    features = part.features(image, width=scaled(part.width))
    low, high = features[part.low], features[-1]
    x = deeper_pyramid(high, width, rates)
    x = ResizeTo(part.align_corners, part.factor, name="up")([x, low])
    if part.reduced:
        low = convolution(
            low,
            scaled(part.reduced),
            1,
            use_bias=False,
            normalization="batch",
            name="decoder_low",
        )
    x = layers.Concatenate(name="decoder_concat")([x, low])
    for i in (1, 2):
        x = separable(x, width, 3, f"decoder{i}")
    x = logits(x, num_labels, name="score")
    x = ResizeTo(part.align_corners, part.stride, dtype=precise_dtype(), name="logits")([x, image])
    model = keras.Model(image, x, name="liteseg")
    if weights:
        mobilenet.load_weights(keras.Model(image, high), weights)
    return model


def check_weights(weights: str | None, backbone: str, width: int, num_channels: int | None) -> None:
    """Raise ``ValueError`` unless LiteSeg on this backbone and input can have these weights.

    Example:
        >>> check_weights("imagenet", "mobilenetv2", width=96, num_channels=3)
    """
    check_one_of((None, "imagenet"), weights=weights)
    if weights and (backbone, width, num_channels) != ("mobilenetv2", 96, 3):
        raise ValueError(
            "Keras has ImageNet weights for LiteSeg on MobileNetV2 of width 96 with three "
            f"channels. Use weights=None, or these. Received: backbone={backbone!r}, "
            f"width={width}, number of channels {num_channels}"
        )


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
