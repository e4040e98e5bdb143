"""FCN-AlexNet (Long et al. 2015): the first of the fully convolutional networks, at stride 32."""

from __future__ import annotations

import keras

from unet.alexnet import alexnet
from unet.arguments import check_at_least, check_dropout, check_one_of, check_shape_and_labels
from unet.blocks import logits, precise_dtype
from unet.crop import CropTo
from unet.fcn import fully_connected
from unet.upsampling import upsample


def fcn32s_alexnet(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    width: int = 32,
    normalization: str | None = None,
    dropout: float = 0.5,
    upsampling: str = "fixed",
) -> keras.Model:
    """Build FCN-AlexNet: image to logits at the same resolution.

    AlexNet with its fully connected layers as convolutions over 6 x 6 positions and over one scores
    the image at every 32nd pixel. For 21 labels and three channels that is 56,954,261 parameters
    ("57 M" in the paper's table 1) and 1,750,329 fixed ones of the up-sampling.

    Any size from one pixel on works: the image is padded with 100 zeros, and the logits are aligned
    by the crop offset 18 of the authors' released network.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        width: even and >= 2; the convolutions have 3, 8, 12, 12 and 8 times as many channels, the
            formerly fully connected layers 128 times.
        normalization: ``None`` as in the paper, ``"batch"`` or ``"group"``, between convolutions
            and their ReLU.
        dropout: share of features, in [0, 1), dropped in training after each of the two formerly
            fully connected layers.
        upsampling: ``"fixed"``: bilinear and never trained, as in the released network;
            ``"learned"``: starts bilinear.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32.

    Raises:
        ValueError: if the shape is no image's or an option out of range.

    Reference:
        - [Fully Convolutional Networks for Semantic Segmentation](
          https://arxiv.org/abs/1411.4038)

    Example:
        >>> fcn32s_alexnet((37, 53, 3), num_labels=21, width=2).output_shape
        (None, 37, 53, 21)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_at_least(2, width=width)
    if width % 2:
        raise ValueError(
            "Invalid width. Expected an even number: some convolutions work on two halves of the "
            f"channels. Received: width={width}"
        )
    check_one_of((None, "batch", "group"), normalization=normalization)
    check_dropout(dropout)
    check_one_of(("fixed", "learned"), upsampling=upsampling)

    image = keras.Input(input_shape, name="image")
    # Of a single pixel 6 positions remain: what the 6 x 6 window of fc6 needs.
    x = alexnet(image, width=width, normalization=normalization, padding=100)
    x = fully_connected(x, 128 * width, 6, normalization=normalization, dropout=dropout)
    x = logits(x, num_labels, name="score")
    x = upsample(x, 32, taps=63, learned=upsampling == "learned", name="upscore32")
    # The middle of score i is pixel 32 i + 13 of the image and 32 i + 31 of what is up-sampled.
    x = CropTo(18, dtype=precise_dtype(), name="logits")([x, image])
    return keras.Model(image, x, name="fcn32s_alexnet")
