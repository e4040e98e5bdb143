"""PSPNet (Zhao et al. 2017): a dilated ResNet and the means of regions at four scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from unet.arguments import check_at_least, check_dropout, check_shape_and_labels
from unet.blocks import convolution, logits, precise_dtype
from unet.pyramid import AdaptiveAveragePooling
from unet.resize import ResizeTo
from unet.resnet import resnet

# Of the auxiliary loss, to the main loss's 1: section 3.3 of the paper.
AUXILIARY_WEIGHT = 0.4


def pspnet(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    depth: int = 50,
    width: int = 64,
    bins: Sequence[int] = (1, 2, 3, 6),
    dropout: float = 0.1,
    auxiliary: bool = False,
) -> keras.Model:
    """Build PSPNet: image to logits at the same resolution.

    Features of a ResNet at output stride 8 (deep stem) are joined with their means over 1, 2 x 2,
    3 x 3 and 6 x 6 regions, then scored. On three channels with 21 labels 46,716,373 parameters,
    49,081,578 with the auxiliary scores; with ``depth=101`` 65,708,501 and 68,073,706. Any size
    from one pixel on works; 8 n + 1 (473, 713) are the paper's.

    The auxiliary scores are for training only. ``auxiliary=True`` gives a model with two outputs,
    whose losses are weighted 1 and 0.4; the network to keep is the part up to the first::

        model = pspnet((473, 473, 3), 21, auxiliary=True)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss=[loss, loss], loss_weights=[1, AUXILIARY_WEIGHT])
        model.fit(images, [labels, labels])
        network = keras.Model(model.input, model.outputs[0])  # shares the trained weights

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        depth: layers of the ResNet: 18, 34, 50, 101 or 152.
        width: channels of its first stage, >= 1; the layer before the scores has 8 times, the one
            before the auxiliary scores 4 times as many.
        bins: regions along each axis, one number per level of the pyramid.
        dropout: share of features, in [0, 1), dropped in training before the scores.
        auxiliary: whether the model also gives the scores of the stage before the last.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32;
        with ``auxiliary`` to two of them in a list, the auxiliary ones second. There are no
        ImageNet weights, because Keras has none for the deep stem.

    Raises:
        ValueError: if the shape is no image's or an option out of range.

    Reference:
        - [Pyramid Scene Parsing Network](https://arxiv.org/abs/1612.01105)

    Example:
        >>> pspnet((37, 53, 3), num_labels=21, depth=18, width=2).output_shape
        (None, 37, 53, 21)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_dropout(dropout)
    image = keras.Input(input_shape, name="image")
    *_, before, last = resnet(image, depth, width=width, output_stride=8, deep_stem=True)

    def scores(x: Any, channels: int, name: str) -> Any:
        x = _convolution(x, channels, 3, f"{name}_conv")
        if dropout:
            x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
        x = logits(x, num_labels, name=f"{name}_score")
        resize = ResizeTo(align_corners=True, factor=8, dtype=precise_dtype(), name=name)
        return resize([x, image])

    outputs = [scores(pool_pyramid(last, bins), 8 * width, "logits")]
    if auxiliary:
        outputs.append(scores(before, 4 * width, "auxiliary"))
    return keras.Model(image, outputs if auxiliary else outputs[0], name="pspnet")


def pool_pyramid(x: Any, bins: Sequence[int]) -> Any:
    """Join features with their means over regions: ``(B, H, W, C)`` to ``(B, H, W, about 2 C)``.

    Every level is brought to ``C / len(bins)`` channels and interpolated to the size of x with
    aligned corners.
    """
    check_at_least(1, **{"number of bins": len(bins)})
    channels = max(x.shape[-1] // len(bins), 1)
    levels = [x]
    for i, count in enumerate(bins):
        y = AdaptiveAveragePooling(count, name=f"pyramid{i}_pool")(x)
        y = _convolution(y, channels, 1, f"pyramid{i}_conv")
        levels.append(ResizeTo(align_corners=True, name=f"pyramid{i}_spread")([y, x]))
    return layers.Concatenate(name="pyramid_concat")(levels)


def _convolution(x: Any, channels: int, kernel_size: int, name: str) -> Any:
    return convolution(x, channels, kernel_size, use_bias=False, normalization="batch", name=name)
