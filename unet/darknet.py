"""Darknet-19 features (Redmon, Farhadi 2017) at output stride 16."""

from __future__ import annotations

from typing import Any

from keras import layers

from unet.arguments import check_at_least
from unet.blocks import FORMAT, convolution

# Table 6 of the paper, stage by stage, in units of the first stage's 32 channels: 3x3 and 1x1
# convolutions in turn.
STAGES = (
    (1,),
    (2,),
    (4, 2, 4),
    (8, 4, 8),
    (16, 8, 16, 8, 16),
    (32, 16, 32, 16, 32),
)


def darknet19(image: Any, *, width: int = 32) -> list[Any]:
    """Append Darknet-19 without its classifier and its last pooling.

    Batch norm and leaky ReLU (slope 0.1) follow each convolution, and convolutions have no bias:
    19,817,376 trainable parameters on three channels. In place of the last pooling the stage behind
    it is dilated by 2.

    Args:
        image: symbolic tensor ``(B, H, W, K)``.
        width: channels of the first convolution, >= 1; all others follow in proportion.

    Returns:
        The features of the six stages, at the strides 1, 2, 4, 8, 16 and 16, sizes rounded up (H ->
        ceil(H / stride)); their channels with ``width=32`` are 32, 64, 128, 256, 512, 1024.

    Raises:
        ValueError: if the width is out of range.

    Reference:
        - [YOLO9000: Better, Faster, Stronger](https://arxiv.org/abs/1612.08242)

    Example:
        >>> import keras
        >>> [tuple(f.shape[1:]) for f in darknet19(keras.Input((33, 16, 3)), width=2)]
        [(33, 16, 2), (17, 8, 4), (9, 4, 8), (5, 2, 16), (3, 1, 32), (3, 1, 64)]
    """
    check_at_least(1, width=width)
    features, x = [], image
    for stage, factors in enumerate(STAGES, start=1):
        if 1 < stage < len(STAGES):
            x = layers.MaxPooling2D(2, padding="same", name=f"stage{stage}_pool", **FORMAT)(x)
        for i, factor in enumerate(factors):
            name = f"stage{stage}_conv{i + 1}"
            x = convolution(
                x,
                factor * width,
                1 if i % 2 else 3,
                dilation=2 if stage == len(STAGES) and i % 2 == 0 else 1,
                use_bias=False,
                normalization="batch",
                activation=None,
                name=name,
            )
            x = layers.LeakyReLU(0.1, name=f"{name}_leaky")(x)
        features.append(x)
    return features
