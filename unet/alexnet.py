"""The convolutional part of AlexNet (Krizhevsky et al. 2012), as Caffe's reference model has it."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from unet.blocks import FORMAT, convolution


@keras.saving.register_keras_serializable(package="unet")
class LocalResponseNormalization(layers.Layer):
    """Divides each channel by a power of the energy of its neighbours, at every pixel by itself.

    ``x / (1 + alpha / size * sum of x^2 over size channels) ** beta``; beyond the first and the
    last channel there is nothing.

    Args:
        size: channels that are summed over, odd, the own one in the middle.
        alpha: strength.
        beta: exponent.

    Call arguments:
        x: ``(B, *S, C)``.

    Output shape:
        as ``x``.

    Reference:
        - [ImageNet Classification with Deep Convolutional Neural Networks](
          https://papers.nips.cc/paper/4824), section 3.3; with the division by ``size`` of Caffe

    Example:
        >>> normalize = LocalResponseNormalization(size=3, alpha=3.0, beta=1.0)
        >>> [round(float(v), 2) for v in normalize(ops.ones((1, 1, 1, 4)))[0, 0, 0]]
        [0.33, 0.25, 0.25, 0.33]
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = size
        self.alpha = alpha
        self.beta = beta

    def call(self, x: Any) -> Any:
        side, channels = self.size // 2, x.shape[-1]
        wide = ops.cast(x, "float32")  # squares of half floats end at 65504
        squares = ops.pad(ops.square(wide), [*[(0, 0)] * (len(x.shape) - 1), (side, side)])
        energy = sum(squares[..., i : i + channels] for i in range(self.size))
        return ops.cast(wide / (1 + self.alpha / self.size * energy) ** self.beta, x.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {"size": self.size, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **config}


def alexnet(x: Any, *, width: int = 32, normalization: str | None = None, padding: int = 0) -> Any:
    """Append the five convolutions and three poolings of AlexNet.

    By default as in the paper, but on one device: 2,334,080 parameters for three channels, of which
    the second, fourth and fifth convolution work within two groups of channels. Poolings of 3 x 3
    pixels at every second round up, as Caffe's do.

    Args:
        x: images ``(B, H, W, K)``.
        width: even; the convolutions have 3, 8, 12, 12 and 8 times as many channels.
        normalization: between convolution and ReLU, beside the local one of the paper; see
            ``unet.blocks.normalize``.
        padding: zeros on each side of the image, in pixels: 0 in the paper, 100 in FCN.

    Returns:
        The features after the last pooling, for S pixels with padding of about S / 32 positions.

    Example:
        >>> alexnet(keras.Input((227, 227, 3)), width=2).shape  # as the classifier had it
        (None, 6, 6, 16)
    """

    def convolved(x: Any, channels: int, size: int, name: str, groups: int = 1) -> Any:
        return convolution(
            x, channels * width, size, groups=groups, normalization=normalization, name=name
        )

    if padding:
        x = layers.ZeroPadding2D(padding, name="first_padding", **FORMAT)(x)
    x = convolution(
        x, 3 * width, 11, strides=4, padding="valid", normalization=normalization, name="conv1"
    )
    x = LocalResponseNormalization(name="norm1")(_pooling(x, "pool1"))
    x = _pooling(convolved(x, 8, 5, "conv2", groups=2), "pool2")
    x = LocalResponseNormalization(name="norm2")(x)
    x = convolved(x, 12, 3, "conv3")
    x = convolved(x, 12, 3, "conv4", groups=2)
    return _pooling(convolved(x, 8, 3, "conv5", groups=2), "pool5")


def _pooling(x: Any, name: str) -> Any:
    # A zero at the far ends is the largest where there is nothing else: what is pooled is a ReLU's.
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_padding", **FORMAT)(x)
    return layers.MaxPooling2D(3, strides=2, padding="valid", name=name, **FORMAT)(x)
