"""RefineNet (Lin et al. 2017): a cascade that refines coarse features with finer ones."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from unet import resnet
from unet.arguments import check_at_least, check_dropout, check_shape_and_labels
from unet.blocks import FORMAT, convolution, logits, precise_dtype
from unet.resize import ResizeTo


def refinenet(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    depth: int = 101,
    width: int = 64,
    num_poolings: int = 4,
    dropout: float = 0.5,
    weights: str | None = None,
) -> keras.Model:
    """Build RefineNet: image to logits at the same resolution.

    Features of the last four stages of a ResNet, from the deepest up: residual convolution units,
    fusion with what comes from below, chained residual pooling, residual convolution units. With
    21 labels and three channels 118,052,437 parameters, the number of the authors' released
    network. It has four poolings in each chain, where the paper's figure has two, and three units
    after them, where it has one. Any size from one pixel on works.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        depth: layers of the ResNet: 18, 34, 50, 101 or 152.
        width: channels of its first stage, >= 1; the features that are refined have 4 times, the
            deepest 8 times as many.
        num_poolings: in each chain, >= 0.
        dropout: share of features, in [0, 1), dropped in training from the two deepest stages and
            before the scores.
        weights: ``None`` for random ones, ``"imagenet"`` for those of a classifier in the ResNet
            (depth 50, 101 or 152, width 64, three channels); see ``unet.resnet.load_weights``.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32.

    Raises:
        ValueError: if the shape is no image's or an option out of range.
        RuntimeError: if weights cannot be downloaded.

    Reference:
        - [RefineNet: Multi-Path Refinement Networks for High-Resolution Semantic Segmentation](
          https://arxiv.org/abs/1611.06612), figure 3

    Example:
        >>> refinenet((37, 53, 3), num_labels=21, depth=18, width=2).output_shape
        (None, 37, 53, 21)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_at_least(0, num_poolings=num_poolings)
    check_dropout(dropout)
    resnet.check_weights(weights, depth, width, input_shape[-1])

    image = keras.Input(input_shape, name="image")
    stages = resnet.resnet(image, depth, width=width)[1:]  # strides 4, 8, 16, 32
    below = None
    for stage, x in zip((5, 4, 3, 2), reversed(stages), strict=True):
        name = f"refine{stage}"
        if dropout and stage >= 4:
            x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
        channels = 8 * width if stage == 5 else 4 * width
        x = _convolution(x, channels, f"{name}_reduce")
        for i in (1, 2):
            x = residual_unit(x, f"{name}_in{i}")
        if below is not None:
            x = fuse(x, below, name)
        x = layers.ReLU(name=f"{name}_relu")(x)
        x = pool_chain(x, num_poolings, f"{name}_pool")
        for i in (1, 2, 3):
            x = residual_unit(x, f"{name}_out{i}")
        below = x

    if dropout:
        x = layers.Dropout(dropout, name="score_dropout")(x)
    x = logits(x, num_labels, 3, name="score")  # (B, H / 4, W / 4, L)
    x = ResizeTo(align_corners=True, factor=4, dtype=precise_dtype(), name="logits")([x, image])
    model = keras.Model(image, x, name="refinenet")
    resnet.load_weights(model, depth, weights)
    return model


def residual_unit(x: Any, name: str) -> Any:
    """Append x + conv(ReLU(conv(ReLU(x)))) with 3 x 3 kernels; it starts as the identity."""
    channels = x.shape[-1]
    y = layers.ReLU(name=f"{name}_relu")(x)
    # One bias per unit, as in the released network.
    y = convolution(y, channels, name=f"{name}_conv1")
    y = _convolution(y, channels, f"{name}_conv2", initializer="zeros")
    return layers.Add(name=f"{name}_add")([x, y])


def fuse(x: Any, below: Any, name: str) -> Any:
    """Add features of half the resolution, each brought to the channels of x by 3 x 3 kernels."""
    channels = x.shape[-1]
    adapted = _convolution(x, channels, f"{name}_adapt")
    below = _convolution(below, channels, f"{name}_adapt_below")
    below = ResizeTo(align_corners=True, factor=2, name=f"{name}_enlarge")([below, x])
    return layers.Add(name=f"{name}_fuse")([adapted, below])


def pool_chain(x: Any, num_poolings: int, name: str) -> Any:
    """Append chained residual pooling: to x adds its ever wider poolings, each convolved once more.

    One link is a 5 x 5 maximum, stride 1, then a 3 x 3 convolution; it takes what the link before
    it gave, and every link's output is added. The chain starts as the identity: without batch norm,
    random links and units would make logits of some thousands.
    """
    outputs, link = [x], x
    for i in range(1, num_poolings + 1):
        link = layers.MaxPooling2D(5, strides=1, padding="same", name=f"{name}{i}", **FORMAT)(link)
        link = _convolution(link, x.shape[-1], f"{name}{i}_conv", initializer="zeros")
        outputs.append(link)
    return layers.Add(name=f"{name}_add")(outputs) if num_poolings else x


def _convolution(x: Any, channels: int, name: str, *, initializer: str = "lecun_normal") -> Any:
    """Without bias or ReLU, so the deviation is sqrt(1 / incoming nodes)."""
    return convolution(
        x, channels, use_bias=False, activation=None, initializer=initializer, name=name
    )
