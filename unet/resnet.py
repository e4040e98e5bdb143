"""ResNet features (He, Zhang, Ren, Sun 2016) at a chosen output stride, for dense prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from unet.arguments import check_at_least, check_one_of
from unet.blocks import FORMAT, INITIALIZER
from unet.imagenet import classifier

# Blocks of the stages conv2 to conv5: table 1 of the paper.
BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


def resnet(
    image: Any,
    depth: int = 50,
    *,
    width: int = 64,
    output_stride: int = 32,
    multi_grid: Sequence[int] | None = None,
    deep_stem: bool = False,
) -> list[Any]:
    """Apply a ResNet without its classifier and return the features of every stage.

    Batch norm follows each convolution, and convolutions have no bias: 23,508,032 trainable
    parameters for ``depth=50``, 42,500,160 for 101, 58,143,808 for 152 on three channels. The
    first 1x1 convolution of a stage strides, as in the authors' release and in Keras's weights
    (others moved the stride to the 3x3 convolution; sizes and parameters are the same).

    An output stride below 32 replaces the last strides by dilation: what the undilated network
    computes at every 32nd pixel, the dilated one computes at every ``output_stride``-th, with the
    same weights (DeepLab v2, section 3.1).

    Args:
        image: symbolic tensor ``(B, H, W, K)``, every size but K may be unknown.
        depth: 18, 34 (two 3x3 convolutions a block), 50, 101 or 152 (1x1, 3x3, 1x1).
        width: channels of the first stage, >= 1; the paper's is 64.
        output_stride: pixels of the image per pixel of the last feature map: 32, 16 or 8.
        multi_grid: one factor per block of the last stage, times the stage's dilation (DeepLab v3,
            section 3.1.1, has ``(1, 2, 4)``); ``None`` for ones.
        deep_stem: three 3x3 convolutions (64, 64, 128 channels) for the first 7x7 (PSPNet).

    Returns:
        The outputs of the stages conv1 to conv5, five symbolic tensors. At output stride 32 their
        strides are 2, 4, 8, 16, 32, sizes rounded up (H -> ceil(H / stride)); their channels
        with ``width=64`` are 64 (128 with the deep stem), 256, 512, 1024, 2048, or 64, 64, 128,
        256, 512 for the depths 18 and 34.

    Raises:
        ValueError: if an option is none of those listed.

    Reference:
        - [Deep Residual Learning for Image Recognition](https://arxiv.org/abs/1512.03385)
        - [DeepLab v2](https://arxiv.org/abs/1606.00915), [v3](https://arxiv.org/abs/1706.05587)

    Example:
        >>> features = resnet(keras.Input((None, None, 3)), 50, output_stride=8)
        >>> [x.shape[-1] for x in features]
        [64, 256, 512, 1024, 2048]
    """
    _check(depth, width, output_stride, multi_grid)
    block = _basic if depth < 50 else _bottleneck

    if deep_stem:
        x = _normal(_convolution(image, width, 3, "conv1_1", strides=2), "conv1_1", relu=True)
        x = _normal(_convolution(x, width, 3, "conv1_2"), "conv1_2", relu=True)
        x = _normal(_convolution(x, 2 * width, 3, "conv1_3"), "conv1_3", relu=True)
    else:
        x = _normal(_convolution(image, width, 7, "conv1", strides=2), "conv1", relu=True)
    features = [x]

    # Zeros around features after a ReLU never win: this is the usual pooling with one pixel of
    # padding on each side, where "same" would pad an even size at the far end only.
    x = layers.ZeroPadding2D(1, name="pool1_pad", **FORMAT)(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool", **FORMAT)(x)

    reached, dilation = 4, 1
    for stage, blocks in enumerate(BLOCKS[depth], start=2):
        strides, before = 1, dilation
        if stage > 2 and reached < output_stride:
            strides, reached = 2, 2 * reached
        elif stage > 2:
            dilation *= 2
        channels = width * 2 ** (stage - 2)
        for i in range(blocks):
            grid = multi_grid[i] if multi_grid and stage == 5 else 1
            x = block(
                x,
                channels,
                strides=strides if i == 0 else 1,
                dilations=((before if i == 0 else dilation) * grid, dilation * grid),
                name=f"conv{stage}_block{i + 1}",
            )
        features.append(x)
    return features


def check_weights(weights: str | None, depth: int, width: int, num_channels: int | None) -> None:
    """Raise ``ValueError`` unless a ResNet of this depth, width and input can have these weights.

    Example:
        >>> check_weights("imagenet", depth=101, width=64, num_channels=3)
    """
    check_one_of((None, "imagenet"), weights=weights)
    if weights and (depth not in (50, 101, 152) or (width, num_channels) != (64, 3)):
        raise ValueError(
            "Keras has ImageNet weights for a ResNet of depth 50, 101 or 152 and width 64 with "
            "three channels. Use weights=None, or these. "
            f"Received: depth={depth}, width={width}, number of channels {num_channels}"
        )


def load_weights(model: keras.Model, depth: int, weights: str | None) -> None:
    """Give a network on a ResNet the weights of a classifier trained on ImageNet.

    Exact, not an approximation: the ResNet of ``keras.applications`` (the authors' weights) is
    this one with biases in its convolutions, and batch norm absorbs a bias into its mean. Images
    must then be prepared by ``keras.applications.resnet.preprocess_input``.

    Args:
        model: a network with layers named as :func:`resnet` names them, at any output stride.
        depth: of its ResNet; see :func:`check_weights`.
        weights: ``"imagenet"``, or ``None``, which leaves the model as it is.

    Raises:
        RuntimeError: if the weights cannot be downloaded.
    """
    if weights is not None:
        copy_weights(classifier(f"ResNet{depth}", weights, include_top=False), model)


def copy_weights(source: keras.Model, model: keras.Model) -> None:
    """Copy the weights of a ResNet of ``keras.applications`` to the layers of the same names."""
    for layer in source.layers:
        if not layer.name.endswith("_conv"):
            continue
        kernel, bias = layer.get_weights()
        model.get_layer(layer.name).set_weights([kernel])
        name = layer.name.removesuffix("_conv") + "_bn"
        scale, shift, mean, variance = source.get_layer(name).get_weights()
        # norm(y + bias) with this mean is norm(y) with the mean less the bias.
        model.get_layer(name).set_weights([scale, shift, mean - bias, variance])


def _basic(x: Any, channels: int, *, strides: int, dilations: tuple[int, int], name: str) -> Any:
    # The first 3x3 convolution strides where there is no dilation, so it reads its taps at the
    # distances of the stage before; only the second one sees the coarser grid.
    before, dilation = dilations
    shortcut = _shortcut(x, channels, strides, name)
    x = _normal(_convolution(x, channels, 3, f"{name}_1", strides, before), f"{name}_1", relu=True)
    x = _normal(_convolution(x, channels, 3, f"{name}_2", 1, dilation), f"{name}_2")
    return _add(x, shortcut, name)


def _bottleneck(
    x: Any, channels: int, *, strides: int, dilations: tuple[int, int], name: str
) -> Any:
    _, dilation = dilations
    shortcut = _shortcut(x, 4 * channels, strides, name)
    x = _normal(_convolution(x, channels, 1, f"{name}_1", strides), f"{name}_1", relu=True)
    x = _normal(_convolution(x, channels, 3, f"{name}_2", 1, dilation), f"{name}_2", relu=True)
    x = _normal(_convolution(x, 4 * channels, 1, f"{name}_3"), f"{name}_3")
    return _add(x, shortcut, name)


def _shortcut(x: Any, channels: int, strides: int, name: str) -> Any:
    if strides == 1 and x.shape[-1] == channels:
        return x
    return _normal(_convolution(x, channels, 1, f"{name}_0", strides), f"{name}_0")


def _add(x: Any, shortcut: Any, name: str) -> Any:
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([shortcut, x]))


def _convolution(
    x: Any, channels: int, size: int, name: str, strides: int = 1, dilation: int = 1
) -> Any:
    padding = "same"
    if strides > 1 and size > 1:
        # As many zeros on each side; "same" would pad an even size by one less at the near end.
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad", **FORMAT)(x)
        padding = "valid"
    return layers.Conv2D(
        channels,
        size,
        strides=strides,
        padding=padding,
        dilation_rate=dilation,
        use_bias=False,
        kernel_initializer=INITIALIZER,
        name=f"{name}_conv",
        **FORMAT,
    )(x)


def _normal(x: Any, name: str, relu: bool = False) -> Any:
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _check(depth: int, width: int, output_stride: int, multi_grid: Sequence[int] | None) -> None:
    check_one_of(BLOCKS, depth=depth)
    check_at_least(1, width=width)
    check_one_of((8, 16, 32), output_stride=output_stride)
    if multi_grid is not None and len(multi_grid) != BLOCKS[depth][-1]:
        raise ValueError(
            f"Invalid multi_grid. Expected None or {BLOCKS[depth][-1]} factors, one per block of "
            f"the last stage. Received: multi_grid={multi_grid}"
        )
