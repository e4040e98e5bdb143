"""A patch-wise CNN (Ciresan et al. 2012), applied to every pixel of an image at once."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from unet.arguments import check_at_least, check_one_of, check_shape_and_labels
from unet.blocks import convolution, logits
from unet.padding import MirrorPad

# Kernel sizes of the convolutions; a 2 x 2 max pooling follows each. Table 1 of the paper, network
# N4: 95 pixels -> 92 -> 46 -> 42 -> 21 -> 18 -> 9 -> 6 -> 3.
KERNELS = (4, 5, 4, 4)


@keras.saving.register_keras_serializable(package="unet")
class DilatedMaxPooling(keras.layers.Layer):
    """Maximum of four pixels at the corners of a square, at every position.

    Args:
        dilation: side of the square in pixels, >= 1.

    Call arguments:
        x: ``(B, H, W, C)``.

    Output shape:
        ``(B, H - dilation, W - dilation, C)``.

    Example:
        >>> DilatedMaxPooling(2)(ops.ones((1, 5, 7, 3))).shape == (1, 3, 5, 3)
        True
    """

    def __init__(self, dilation: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.dilation = dilation

    def call(self, x: Any) -> Any:
        d = self.dilation
        x = ops.maximum(x[:, :-d], x[:, d:])
        return ops.maximum(x[:, :, :-d], x[:, :, d:])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sizes, channels = input_shape
        return (batch, *(s and s - self.dilation for s in sizes), channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dilation": self.dilation}


def patch_cnn(
    input_shape: tuple[int | None, ...],
    num_labels: int,
    *,
    width: int = 48,
    normalization: str | None = None,
) -> keras.Model:
    """Build a patch-wise CNN: image to logits at the same resolution.

    A small classifier looks at a patch of 95 x 95 pixels and labels the one in its middle: four
    times convolution and pooling, then two fully connected layers. It is the largest network (N4)
    of Ciresan et al., whose other networks, ensembles and foveation are left out; 219,290
    parameters by default for one channel and two labels. The literature's "CNN-CRF" rows name no
    network of their own, so this one stands for "a CNN that labels patches".

    Instead of patch after patch, all are computed at once and share what they have in common: a
    pooling of stride 2 becomes one of stride 1, and all that follows looks at pixels twice as far
    apart. The result at every pixel is that of its patch. At the border the image is mirrored, as
    in the paper.

    Args:
        input_shape: ``(H, W, K)`` without the batch. Sizes in pixels, ``None`` where they vary;
            K >= 1 image channels.
        num_labels: number of labels L >= 1, background included; 1 for a single sigmoid channel.
        width: channels of the convolutions, >= 1; the fully connected layer has 200 units for 48.
        normalization: ``None`` as in the paper, ``"batch"`` or ``"group"``.

    Returns:
        A ``keras.Model`` from images ``(B, H, W, K)`` to logits ``(B, H, W, L)``, at least float32.

    Raises:
        ValueError: if the shape is no image's or an option out of range.

    Reference:
        - [Deep Neural Networks Segment Neuronal Membranes in Electron Microscopy Images](
          https://papers.nips.cc/paper/4741)

    Example:
        >>> patch_cnn((37, 53, 1), num_labels=2, width=4).output_shape
        (None, 37, 53, 2)
    """
    check_shape_and_labels(input_shape, num_labels)
    check_at_least(1, width=width)
    check_one_of((None, "batch", "group"), normalization=normalization)

    image = keras.Input(input_shape, name="image")
    x = MirrorPad(95 // 2, name="mirror")(image)  # each pixel in the middle of a patch of 95
    dilation = 1
    for i, kernel_size in enumerate(KERNELS):
        x = convolution(
            x,
            width,
            kernel_size,
            dilation=dilation,
            padding="valid",
            normalization=normalization,
            name=f"conv{i + 1}",
        )
        x = DilatedMaxPooling(dilation, name=f"pool{i + 1}")(x)
        dilation *= 2
    # 3 x 3 positions are left of a patch: the fully connected layer's.
    x = convolution(
        x,
        round(width * 200 / 48),
        3,
        dilation=dilation,
        padding="valid",
        normalization=normalization,
        name="fc",
    )
    return keras.Model(image, logits(x, num_labels), name="patch_cnn")
