"""SegNet (Badrinarayanan et al. 2017): the decoder unpools where the encoder pooled."""

from __future__ import annotations

import keras

from unet import vgg
from unet.arguments import check_at_least, check_one_of, check_shape_and_labels
from unet.blocks import convolution, logits
from unet.unpooling import MaxPoolingWithIndices, MaxUnpooling

# Channels of the decoder's convolutions in units of ``width``, from the deepest stage up; each
# mirrors a stage of VGG16. The last stage's second convolution is the one that gives the logits.
DECODER = ((8, 8, 8), (8, 8, 4), (4, 4, 2), (2, 1), (1,))


def segnet(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    width: int = 64,
    normalization: str | None = "batch",
    weights: str | None = None,
) -> keras.Model:
    """Build a SegNet: image to logits at the same resolution.

    The thirteen convolutions of VGG16, each with batch normalisation, and their mirror image; each
    unpooling puts values where the maximum of the pooling was. 29,449,355 trainable parameters by
    default for three channels and 11 labels. An odd size is halved to the next larger whole number
    and restored by the unpooling, so every size works.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        width: channels of the first stage, >= 1; the deepest have 8 times as many.
        normalization: ``"batch"`` as in the paper, ``"group"`` or ``None``.
        weights: ``None`` for random ones, ``"imagenet"`` for an encoder with those of a VGG16
            classifier (width 64 and three channels); see ``unet.vgg.load_weights``.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32.

    Raises:
        ValueError: if the shape is no image's or an option out of range.
        RuntimeError: if weights cannot be downloaded.

    Reference:
        - [SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation](
          https://arxiv.org/abs/1511.00561)

    Example:
        >>> segnet((37, 53, 3), num_labels=11, width=2).output_shape
        (None, 37, 53, 11)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_at_least(1, width=width)
    check_one_of((None, "batch", "group"), normalization=normalization)
    vgg.check_weights(weights, width, input_shape[-1])

    image = keras.Input(input_shape, name="image")
    x, pooled = image, []
    for stage in range(5):
        before = vgg.stage(x, stage, width=width, normalization=normalization)
        x, indices = MaxPoolingWithIndices(name=f"block{stage + 1}_pool")(before)
        pooled.append((indices, before))
    for stage, widths in zip(reversed(range(5)), DECODER, strict=True):
        x = MaxUnpooling(name=f"decoder{stage + 1}_unpool")([x, *pooled[stage]])
        for i, factor in enumerate(widths):
            x = convolution(
                x,
                width * factor,
                normalization=normalization,
                name=f"decoder{stage + 1}_conv{i + 1}",
            )
    model = keras.Model(image, logits(x, num_labels, 3), name="segnet")
    vgg.load_weights(model, weights)
    return model
