"""ShuffleNet features (Zhang et al. 2018) at output stride 16."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers, ops

from unet.arguments import check_at_least
from unet.blocks import FORMAT, convolution, normalize
from unet.mobilenet import depthwise_initializer, padded

# Table 1 of the paper for 8 groups: channels in units of the first convolution's 24, and units.
STAGES = ((16, 4), (32, 8), (64, 4))


@keras.saving.register_keras_serializable(package="unet")
class GroupConvolution(layers.Layer):
    """A 1x1 convolution within groups of channels, without bias; then, if asked, channel shuffle.

    The shuffle takes the first channel of every group, then the second of every group and so on, so
    that the next group convolution mixes the groups.

    Args:
        channels: of the output, a multiple of the groups.
        groups: that divide the channels of the input, too.
        shuffle: whether to shuffle the output.
        **kwargs: those of every Keras layer.

    Call arguments:
        x: ``(B, H, W, C)``.

    Output shape:
        ``(B, H, W, channels)``.

    Example:
        >>> tuple(GroupConvolution(6, groups=2, shuffle=True)(ops.ones((1, 5, 7, 4))).shape)
        (1, 5, 7, 6)
    """

    def __init__(self, channels: int, groups: int, shuffle: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.groups = groups
        self.shuffle = shuffle

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        before = (input_shape[-1] or 0) // self.groups
        self.kernel = self.add_weight(
            shape=(self.groups, before, self.channels // self.groups),
            # He's deviation; Keras's own initialiser would count the channels of all groups.
            initializer=keras.initializers.RandomNormal(stddev=math.sqrt(2 / before)),
            name="kernel",
        )

    def call(self, x: Any) -> Any:
        *position, channels = ops.shape(x)
        x = ops.reshape(x, (*position, self.groups, channels // self.groups))
        order = "og" if self.shuffle else "go"
        x = ops.einsum(f"bhwgi,gio->bhw{order}", x, self.kernel)
        return ops.reshape(x, (*position, self.channels))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.channels)

    def get_config(self) -> dict[str, Any]:
        config = {"channels": self.channels, "groups": self.groups, "shuffle": self.shuffle}
        return {**super().get_config(), **config}


def shufflenet(image: Any, *, width: int = 24) -> list[Any]:
    """Append ShuffleNet with 8 groups, without its classifier.

    Batch norm follows each convolution, and convolutions have no bias: 897,768 trainable parameters
    on three channels. The last stage does not stride and is dilated by 2.

    Args:
        image: symbolic tensor ``(B, H, W, K)``.
        width: channels of the first convolution, >= 1; all others follow in proportion. There are
            fewer groups where 8 does not divide the channels.

    Returns:
        Features at the strides 4, 8, 16 and 16, sizes rounded up (H -> ceil(H / stride)); their
        channels with ``width=24`` are 24, 384, 768, 1536.

    Raises:
        ValueError: if the width is out of range.

    Reference:
        - [ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices](
          https://arxiv.org/abs/1707.01083)

    Example:
        >>> [tuple(f.shape[1:]) for f in shufflenet(keras.Input((33, 65, 3)), width=2)]
        [(9, 17, 2), (5, 9, 32), (3, 5, 64), (3, 5, 128)]
    """
    check_at_least(1, width=width)
    x = padded(image, 3, 2, "stage1_conv")
    x = convolution(
        x,
        width,
        strides=2,
        padding="valid",
        use_bias=False,
        normalization="batch",
        name="stage1_conv",
    )
    x = padded(x, 3, 2, "stage1_pool")  # zeros never win after a ReLU
    x = layers.MaxPooling2D(3, strides=2, name="stage1_pool", **FORMAT)(x)
    features = [x]
    for stage, (factor, units) in enumerate(STAGES, start=2):
        last = stage == len(STAGES) + 1
        x = _unit(x, factor * width, f"stage{stage}_unit1", first=True, strides=1 if last else 2)
        for i in range(1, units):
            x = _unit(x, factor * width, f"stage{stage}_unit{i + 1}", dilation=2 if last else 1)
        features.append(x)
    return features


def _unit(
    x: Any, channels: int, name: str, *, first: bool = False, strides: int = 1, dilation: int = 1
) -> Any:
    """Figure 2 (b) of the paper, or (c) for the first of a stage."""
    shortcut, before = x, x.shape[-1]
    inner = max(channels // 4, 1)
    x = _group_convolution(x, inner, f"{name}_in", shuffle=True)
    x = layers.ReLU(name=f"{name}_in_relu")(x)
    x = padded(x, 3, strides, f"{name}_depthwise")
    x = layers.DepthwiseConv2D(
        3,
        strides=strides,
        padding="valid" if strides > 1 else "same",
        dilation_rate=dilation,
        use_bias=False,
        depthwise_initializer=depthwise_initializer(),
        name=f"{name}_depthwise",
        **FORMAT,
    )(x)
    x = normalize(x, "batch", f"{name}_depthwise_norm")
    x = _group_convolution(x, channels - before if first else channels, f"{name}_out")
    if first:
        shortcut = layers.ZeroPadding2D(1, name=f"{name}_pool_padding", **FORMAT)(shortcut)
        shortcut = layers.AveragePooling2D(3, strides, name=f"{name}_pool", **FORMAT)(shortcut)
        x = layers.Concatenate(name=f"{name}_concat")([shortcut, x])
    else:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_relu")(x)


def _group_convolution(x: Any, channels: int, name: str, shuffle: bool = False) -> Any:
    # Section 3.2: no groups where there are few channels, which is at the first of all.
    few = name == "stage2_unit1_in"
    groups = 1 if few else math.gcd(8, x.shape[-1], channels)
    x = GroupConvolution(channels, groups, shuffle, name=name)(x)
    return normalize(x, "batch", f"{name}_norm")
