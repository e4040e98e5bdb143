"""The convolutional part of VGG16 (Simonyan, Zisserman 2015), with the changes that others made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from unet import imagenet
from unet.arguments import check_one_of
from unet.blocks import FORMAT, convolution

CONVOLUTIONS = (2, 2, 3, 3, 3)  # per stage; configuration D of the paper's table 1
WIDTHS = (1, 2, 4, 8, 8)  # channels of the stages in units of the first stage's 64


def vgg16(
    x: Any,
    *,
    width: int = 64,
    normalization: str | None = None,
    strides: Sequence[int | None] = (2, 2, 2, 2, 2),
    pool_size: int = 2,
    dilations: Sequence[int] = (1, 1, 1, 1, 1),
    padding: str = "same",
    first_padding: int | None = None,
) -> list[Any]:
    """Append the thirteen convolutions and five poolings of VGG16.

    By default as in the paper: 14,714,688 parameters for three channels. Poolings round odd sizes
    up (S -> ceil(S / 2)), as Caffe's do, so that no pixel is lost and one pixel stays one.

    Args:
        x: images ``(B, H, W, K)``.
        width: channels of the first stage; the others have 2, 4, 8 and 8 times as many.
        normalization: between convolution and ReLU; see ``unet.blocks.normalize``.
        strides: of the poolings: 2, 1 (the size stays, DeepLab), or ``None`` for no pooling at
            all (the dilated front end).
        pool_size: of the poolings, in pixels; an odd one is centred on its output's pixel.
        dilations: of the convolutions of each stage, in pixels.
        padding: of the convolutions: ``"same"`` or ``"valid"``.
        first_padding: zeros added to each side of the image instead of what ``padding`` adds
            before the first convolution, in pixels; ``None`` = as ``padding`` says. FCN has 100.

    Returns:
        The features after each of the five stages, its pooling included. Convolutions are named
        ``block1_conv1`` ... ``block5_conv3`` as in ``keras.applications.VGG16``.

    Reference:
        - [Very Deep Convolutional Networks for Large-Scale Image Recognition](
          https://arxiv.org/abs/1409.1556)

    Example:
        >>> [tuple(f.shape[1:]) for f in vgg16(keras.Input((64, 48, 3)), width=8)]
        [(32, 24, 8), (16, 12, 16), (8, 6, 32), (4, 3, 64), (2, 2, 64)]
    """
    features = []
    for index in range(5):
        x = stage(
            x,
            index,
            width=width,
            normalization=normalization,
            dilation=dilations[index],
            padding=padding,
            first_padding=first_padding if index == 0 else None,
        )
        if strides[index]:
            name = f"block{index + 1}_pool"
            if pool_size % 2:
                # As many zeros on each side, where "same" would add one less at the near end of an
                # even size. After a ReLU they never win.
                x = layers.ZeroPadding2D(pool_size // 2, name=f"{name}_padding", **FORMAT)(x)
            x = layers.MaxPooling2D(
                pool_size,
                strides[index],
                padding="valid" if pool_size % 2 else "same",
                name=name,
                **FORMAT,
            )(x)
        features.append(x)
    return features


def stage(
    x: Any,
    index: int,
    *,
    width: int = 64,
    normalization: str | None = None,
    dilation: int = 1,
    padding: str = "same",
    first_padding: int | None = None,
) -> Any:
    """Append the convolutions of one stage, without its pooling.

    Args:
        x: images or features ``(B, H, W, C)``.
        index: of the stage, 0 to 4.
        width: channels of the first stage.
        normalization, dilation, padding, first_padding: as for :func:`vgg16`.

    Example:
        >>> stage(keras.Input((16, 12, 8)), 1, width=8).shape
        (None, 16, 12, 16)
    """
    for i in range(CONVOLUTIONS[index]):
        if i == 0 and first_padding is not None:
            x = layers.ZeroPadding2D(first_padding, name="first_padding", **FORMAT)(x)
        x = convolution(
            x,
            width * WIDTHS[index],
            dilation=dilation,
            padding="valid" if i == 0 and first_padding is not None else padding,
            normalization=normalization,
            name=f"block{index + 1}_conv{i + 1}",
        )
    return x


def check_weights(weights: str | None, width: int, num_channels: int | None) -> None:
    """Raise ``ValueError`` unless a VGG16 of this width and input can have these weights.

    Example:
        >>> check_weights("imagenet", width=64, num_channels=3)
    """
    check_one_of((None, "imagenet"), weights=weights)
    if weights and (width, num_channels) != (64, 3):
        raise ValueError(
            "ImageNet weights belong to a VGG16 of width 64 with three channels. Use weights=None, "
            f"or these. Received: width={width}, number of channels {num_channels}"
        )


def load_weights(model: keras.Model, weights: str | None) -> None:
    """Give a network on VGG16 the weights of a classifier trained on ImageNet.

    The convolutions take those of ``keras.applications.VGG16``, which Keras downloads once. Fully
    connected layers, if the network has them as convolutions called ``fc6`` and ``fc7`` of the
    classifier's size, take theirs. Images must then be prepared by
    ``keras.applications.vgg16.preprocess_input``.

    Args:
        model: a network with layers named as :func:`vgg16` names them.
        weights: ``"imagenet"``, or ``None``, which leaves the model as it is.

    Raises:
        RuntimeError: if the weights cannot be downloaded.
    """
    if weights is None:
        return
    present = {layer.name: layer for layer in model.layers}
    # The classifier's first layer sees 7 x 7 positions of 512 channels.
    whole = "fc6" in present and tuple(present["fc6"].kernel.shape) == (7, 7, 512, 4096)
    source = imagenet.classifier("VGG16", weights, include_top=whole)
    for layer in source.layers:
        if layer.name in present and layer.name.startswith("block"):
            present[layer.name].set_weights(layer.get_weights())
    for dense, convolved in (("fc1", "fc6"), ("fc2", "fc7")) if whole else ():
        kernel, bias = source.get_layer(dense).get_weights()
        # Flatten runs over rows, columns, channels: the order of a convolution's kernel.
        present[convolved].set_weights([kernel.reshape(present[convolved].kernel.shape), bias])
