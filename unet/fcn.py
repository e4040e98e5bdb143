"""Fully convolutional networks FCN-32s, FCN-16s and FCN-8s on VGG16 (Long et al. 2015)."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from unet import vgg
from unet.arguments import check_at_least, check_dropout, check_one_of, check_shape_and_labels
from unet.blocks import convolution, logits, precise_dtype
from unet.crop import CropTo
from unet.upsampling import upsample


def fcn(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    stride: int = 8,
    width: int = 64,
    normalization: str | None = None,
    dropout: float = 0.5,
    upsampling: str = "fixed",
    at_once: bool = False,
    weights: str | None = None,
) -> keras.Model:
    """Build a fully convolutional network: image to logits at the same resolution.

    VGG16 with its fully connected layers as convolutions scores the image at every 32nd pixel; for
    a stride of 16 and 8, scores of the fourth and third pooling are added on the way up. For 21
    labels and three channels that is 134,346,581 parameters and those of the up-sampling: in all
    136,152,917 for stride 32, 134,815,994 for 16, 134,489,759 for 8.

    Any size from one pixel on works: the image is padded with 100 zeros, and what the layers see is
    aligned by the crop offsets 5, 9 (of the skips) and 19, 27, 31 (of the logits at stride 32, 16,
    8) of the authors' released networks.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        stride: 32, 16 or 8 pixels between the finest scores that are made.
        width: channels of the first stage, >= 1; the deepest have 8 times, the formerly fully
            connected layers 64 times as many.
        normalization: ``None`` as in the paper, ``"batch"`` or ``"group"``; after the convolutions
            that have a ReLU. Without it, deep VGG networks learn badly from random weights.
        dropout: share of features, in [0, 1), dropped in training after each of the two formerly
            fully connected layers.
        upsampling: ``"fixed"``: bilinear and never trained, as in the released networks;
            ``"learned"``: starts bilinear. The paper trains all but the last.
        at_once: scale the fourth and third pooling by 0.01 and 0.0001 before they are scored, so
            that all scales can be trained at once instead of one after the other.
        weights: ``None`` for random ones, ``"imagenet"`` for those of a VGG16 classifier (width 64
            and three channels); see ``unet.vgg.load_weights``.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32.
        The skips' scores start at 0: right after ``initialize_from`` a network of stride 16 says
        what the one of stride 32 says, but for the way of interpolation.

    Raises:
        ValueError: if the shape is no image's or an option out of range.
        RuntimeError: if weights cannot be downloaded.

    Reference:
        - [Fully Convolutional Networks for Semantic Segmentation](
          https://arxiv.org/abs/1411.4038)

    Example:
        >>> fcn((37, 53, 3), num_labels=21, stride=16, width=2).output_shape
        (None, 37, 53, 21)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_one_of((32, 16, 8), stride=stride)
    check_at_least(1, width=width)
    check_one_of((None, "batch", "group"), normalization=normalization)
    check_dropout(dropout)
    check_one_of(("fixed", "learned"), upsampling=upsampling)
    vgg.check_weights(weights, width, input_shape[-1])
    learned = upsampling == "learned"

    image = keras.Input(input_shape, name="image")
    # 100 zeros and two pixels fewer by the first convolution: S + 198. The poolings round up, so
    # that 7 positions remain of a single pixel: what the 7 x 7 window of fc6 needs.
    stages = vgg.vgg16(image, width=width, normalization=normalization, first_padding=100)
    x = stages[4]  # (B, n, n', 8 width), n = ceil((H + 198) / 32)
    x = fully_connected(x, 64 * width, 7, normalization=normalization, dropout=dropout)
    x = logits(x, num_labels, name="score")  # (B, n - 6, n' - 6, L)

    # Stage, its scale in at-once training, and where its scores meet those from below. The offsets
    # follow from the padding, see test_fcn.py.
    skips = ((3, 0.01, 5), (2, 0.0001, 9))
    for stage, scale, offset in skips[: {32: 0, 16: 1, 8: 2}[stride]]:
        x = upsample(x, 2, learned=learned, name=f"upscore_pool{stage + 1}")
        skip = stages[stage]
        if at_once:
            skip = layers.Rescaling(scale, name=f"scale_pool{stage + 1}")(skip)
        skip = logits(skip, num_labels, initializer="zeros", name=f"score_pool{stage + 1}")
        skip = CropTo(offset, dtype=precise_dtype(), name=f"crop_pool{stage + 1}")([skip, x])
        x = layers.Add(dtype=precise_dtype(), name=f"fuse_pool{stage + 1}")([x, skip])
    x = upsample(x, stride, learned=learned, name=f"upscore{stride}")
    x = CropTo({32: 19, 16: 27, 8: 31}[stride], dtype=precise_dtype(), name="logits")([x, image])
    model = keras.Model(image, x, name=f"fcn{stride}s")
    vgg.load_weights(model, weights)
    return model


def fully_connected(
    x: Any, features: int, window: int, *, normalization: str | None, dropout: float
) -> Any:
    """Append the two formerly fully connected layers of a classifier, as convolutions.

    Args:
        x: features ``(B, h, w, F)``, of which the first layer sees ``window`` x ``window``.
        features: channels of both layers.
        normalization, dropout: see `fcn`.

    Returns:
        ``(B, h - window + 1, w - window + 1, features)``.

    Example:
        >>> options = dict(normalization=None, dropout=0.5)
        >>> fully_connected(keras.Input((9, 8, 3)), 16, 7, **options).shape
        (None, 3, 2, 16)
    """
    for name, kernel_size in (("fc6", window), ("fc7", 1)):
        x = convolution(
            x,
            features,
            kernel_size,
            padding="valid",
            normalization=normalization,
            name=name,
        )
        if dropout:
            x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return x
