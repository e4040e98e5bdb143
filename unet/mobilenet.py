"""MobileNetV2 features (Sandler et al. 2018)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers

from unet.arguments import check_at_least
from unet.blocks import FORMAT, convolution, normalize
from unet.imagenet import classifier

# Table 2 of the paper: expansion, channels of the output, blocks, stride of the first.
GROUPS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenetv2(image: Any, *, width: int = 32) -> list[Any]:
    """Append MobileNetV2 without its classifier.

    Batch norm follows each convolution, and convolutions have no bias: 2,223,872 trainable
    parameters on three channels.

    Args:
        image: symbolic tensor ``(B, H, W, K)``.
        width: channels of the first convolution, >= 1; all others follow in proportion.

    Returns:
        Features at the strides 2, 4, 8, 16 and 32, sizes rounded up (H -> ceil(H / stride)); their
        channels with ``width=32`` are 16, 24, 32, 96, 1280.

    Raises:
        ValueError: if the width is out of range.

    Reference:
        - [MobileNetV2: Inverted Residuals and Linear Bottlenecks](
          https://arxiv.org/abs/1801.04381)

    Example:
        >>> [tuple(f.shape[1:]) for f in mobilenetv2(keras.Input((33, 65, 3)), width=8)]
        [(17, 33, 4), (9, 17, 6), (5, 9, 8), (3, 5, 24), (2, 3, 320)]
    """
    check_at_least(1, width=width)

    def scaled(channels: int) -> int:
        return max(channels * width // 32, 1)

    def activated(x: Any, channels: int, kernel_size: int, name: str, strides: int = 1) -> Any:
        x = padded(x, kernel_size, strides, name)
        return convolution(
            x,
            channels,
            kernel_size,
            strides=strides,
            padding="valid" if strides > 1 else "same",
            use_bias=False,
            normalization="batch",
            activation="relu6",
            name=name,
        )

    features = []
    x = activated(image, width, 3, "conv_first", strides=2)
    for group, (expansion, channels, blocks, first_strides) in enumerate(GROUPS):
        for block in range(blocks):
            name = f"group{group + 1}_block{block + 1}"
            strides = first_strides if block == 0 else 1
            if strides > 1:
                features.append(x)
            shortcut = x
            if expansion > 1:
                x = activated(x, expansion * x.shape[-1], 1, f"{name}_expand")
            x = padded(x, 3, strides, f"{name}_depthwise")
            x = layers.DepthwiseConv2D(
                3,
                strides=strides,
                padding="valid" if strides > 1 else "same",
                use_bias=False,
                depthwise_initializer=depthwise_initializer(),
                name=f"{name}_depthwise",
                **FORMAT,
            )(x)
            x = normalize(x, "batch", f"{name}_depthwise_norm")
            x = layers.Activation("relu6", name=f"{name}_depthwise_relu6")(x)
            x = convolution(
                x,
                scaled(channels),
                1,
                use_bias=False,
                normalization="batch",
                activation=None,
                name=f"{name}_project",
            )
            if block > 0:
                x = layers.Add(name=f"{name}_add")([x, shortcut])
    features.append(activated(x, scaled(1280), 1, "conv_last"))
    return features


def padded(x: Any, kernel_size: int, strides: int, name: str) -> Any:
    """Append the zeros that centre a strided convolution on every ``strides``-th pixel, from 0 on.

    (``"same"`` would start from 1 where the size is even.)
    """
    if strides == 1:
        return x
    return layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_padding", **FORMAT)(x)


def depthwise_initializer() -> keras.initializers.Initializer:
    """He's initialiser for a 3x3 convolution of each channel by itself.

    Its deviation is sqrt(2 / incoming nodes) for nine nodes; Keras's own initialiser would count
    those of all channels.
    """
    return keras.initializers.RandomNormal(stddev=math.sqrt(2 / 9))


def load_weights(features: keras.Model, weights: str) -> None:
    """Give MobileNetV2 features the weights of a classifier trained on ImageNet.

    Images must be prepared by ``keras.applications.mobilenet_v2.preprocess_input`` (range -1..1).

    Args:
        features: model from images of three channels to the last features of :func:`mobilenetv2`
            with width 32, nothing else in it.
        weights: ``"imagenet"``.

    Raises:
        RuntimeError: if the weights cannot be downloaded.
    """
    # One chain of layers in both, so the order of the weights is the same.
    features.set_weights(classifier("MobileNetV2", weights, include_top=False).get_weights())
