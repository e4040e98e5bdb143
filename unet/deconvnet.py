"""DeconvNet (Noh, Hong, Han 2015): VGG16 with its fully connected layers, mirrored."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from unet import vgg
from unet.arguments import check_at_least, check_one_of, check_shape_and_labels
from unet.blocks import FORMAT, INITIALIZER, convolution, logits, normalize
from unet.crop import CropTo
from unet.padding import PadToAtLeast
from unet.unpooling import MaxPoolingWithIndices, MaxUnpooling

# Channels of the 3 x 3 deconvolutions in units of ``width``, from the deepest stage up.
DECODER = ((8, 8, 8), (8, 8, 4), (4, 4, 2), (2, 1), (1, 1))


def deconvnet(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    width: int = 64,
    normalization: str | None = "batch",
    weights: str | None = None,
) -> keras.Model:
    """Build a DeconvNet: image to logits at the same resolution.

    VGG16 up to and including its fully connected layers (as convolutions over 7 x 7 positions and
    over one), a deconvolution back to 7 x 7 positions, then unpooling, where the maxima of the
    pooling were, and deconvolutions. 251,805,653 trainable parameters by default for three
    channels and 21 labels.

    The paper's images have 224 x 224 pixels, of which five poolings leave 7 x 7 positions and the
    fully connected layers one. Larger images leave more. Of images smaller than 193 pixels fewer
    than seven positions are left: zeros are added before the fully connected layers and cut off
    after them. Odd sizes are halved to the next larger whole number and restored by unpooling.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        width: channels of the first stage, >= 1; the deepest have 8 times, the formerly fully
            connected layers 64 times as many.
        normalization: ``"batch"`` as in the paper, ``"group"`` or ``None``.
        weights: ``None`` for random ones, ``"imagenet"`` for those of a VGG16 classifier (width 64
            and three channels); see ``unet.vgg.load_weights``.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32.

    Raises:
        ValueError: if the shape is no image's or an option out of range.
        RuntimeError: if weights cannot be downloaded.

    Reference:
        - [Learning Deconvolution Network for Semantic Segmentation](
          https://arxiv.org/abs/1505.04366)

    Example:
        >>> deconvnet((37, 53, 3), num_labels=21, width=2).output_shape
        (None, 37, 53, 21)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_at_least(1, width=width)
    check_one_of((None, "batch", "group"), normalization=normalization)
    vgg.check_weights(weights, width, input_shape[-1])

    def deconvolution(x: Any, channels: int, kernel_size: int, padding: str, name: str) -> Any:
        x = layers.Conv2DTranspose(
            channels,
            kernel_size,
            padding=padding,
            kernel_initializer=INITIALIZER,
            name=name,
            **FORMAT,
        )(x)
        return layers.ReLU(name=f"{name}_relu")(normalize(x, normalization, f"{name}_norm"))

    image = keras.Input(input_shape, name="image")
    x, pooled = image, []
    for stage in range(5):
        before = vgg.stage(x, stage, width=width, normalization=normalization)
        x, indices = MaxPoolingWithIndices(name=f"block{stage + 1}_pool")(before)
        pooled.append((indices, before))

    features = x  # (B, n, n', 8 width)
    x = PadToAtLeast(7, name="fc6_pad")(features)
    for name, kernel_size in (("fc6", 7), ("fc7", 1)):
        x = convolution(
            x, 64 * width, kernel_size, padding="valid", normalization=normalization, name=name
        )  # (B, n - 6, n' - 6, 64 width)
    x = deconvolution(x, 8 * width, 7, "valid", "fc6_deconv")
    x = CropTo(name="fc6_crop")([x, features])  # (B, n, n', 8 width)

    for stage, widths in zip(reversed(range(5)), DECODER, strict=True):
        x = MaxUnpooling(name=f"decoder{stage + 1}_unpool")([x, *pooled[stage]])
        for i, factor in enumerate(widths):
            x = deconvolution(x, width * factor, 3, "same", f"decoder{stage + 1}_deconv{i + 1}")
    model = keras.Model(image, logits(x, num_labels), name="deconvnet")
    vgg.load_weights(model, weights)
    return model
