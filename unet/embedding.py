"""A second output for any network: an embedding of each pixel, beside its logits."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from unet.arguments import check_at_least
from unet.blocks import CONVOLUTION, convolution, logits, precise_dtype


def with_embedding(network: keras.Model, channels: int = 4, *, width: int = 16) -> keras.Model:
    """Add a head that embeds each pixel: what a CRF can compare pixels by instead of intensities.

    Where the network ends in a convolution that keeps the size, as ``unet``, the head sees the
    features that this convolution sees, else image and logits: a 3 x 3 convolution to ``width``
    channels, ReLU, and a 1 x 1 convolution. Each channel is then brought to mean 0 and standard
    deviation 1 over the image, so that a bandwidth has a unit.

    Args:
        network: a model with one image ``(B, *S, K)``, channels last, and one output: logits of the
            image's size ``(B, *S, L)``.
        channels: of the embedding, >= 1.
        width: channels in between, >= 1.

    Returns:
        A ``keras.Model`` from images to ``{"logits": (B, *S, L), "embedding": (B, *S, channels)}``,
        at least float32. It shares the network's layers; the head's are called ``embedding1``,
        ``embedding2`` and ``embedding``.

    Raises:
        ValueError: if the network has another form.

    Reference:
        S. Chen et al., "Posterior-CRF", Medical Image Analysis 2022, filters over the network's
        features; its CRF trains with them.

    Example:
        >>> import unet
        >>> network = unet.build("unet", (None, None, 1), num_labels=2, width=4, depth=2)
        >>> outputs = with_embedding(network, channels=3).output
        >>> outputs["logits"].shape, outputs["embedding"].shape
        ((None, None, None, 2), (None, None, None, 3))
    """
    check_at_least(1, channels=channels, width=width)
    inputs, outputs = (getattr(network, name, None) or [] for name in ("inputs", "outputs"))
    axes = {len(tensor.shape) for tensor in (*inputs, *outputs)}
    if (len(inputs), len(outputs)) != (1, 1) or len(axes) != 1 or axes - {4, 5}:
        raise ValueError(
            "Expected a network from one image (B, *S, K), S of two or three axes, to one output "
            "(B, *S, L). Received: inputs of shapes "
            f"{[tuple(t.shape) for t in inputs]}, outputs of shapes "
            f"{[tuple(t.shape) for t in outputs]}"
        )
    (image,), (scores,) = inputs, outputs
    x = convolution(last_features(network), width, name="embedding1")
    x = logits(x, channels, name="embedding2")
    # A group of its own for each channel. Keras's epsilon of 1e-3 would shrink quiet channels.
    standardize = layers.GroupNormalization(
        groups=-1,
        epsilon=1e-6,
        center=False,
        scale=False,
        dtype=precise_dtype(),
        name="embedding",
    )
    return keras.Model(
        image, {"logits": scores, "embedding": standardize(x)}, name=f"{network.name}_embedding"
    )


def last_features(network: keras.Model) -> Any:
    """What the last convolution of a network sees, ``(B, *S, C)``; else image and logits.

    network: from one image to one output of its size; `with_embedding` checks that it is.
    """
    (image,), (scores,), last = network.inputs, network.outputs, network.layers[-1]
    convolutions: Any = tuple(CONVOLUTION.values())
    if isinstance(last, convolutions) and last.output is scores:
        if last.padding == "same" and set(last.strides) == {1}:
            return last.input
    return layers.Concatenate(name="embedding0")([image, scores])
