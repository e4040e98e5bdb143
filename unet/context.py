"""The context module (Yu, Koltun 2016): dilated convolutions that refine scores."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from unet.arguments import check_one_of
from unet.blocks import FORMAT, precise_dtype

# Table 1 of the paper. Dilations of the seven 3x3 convolutions; the eighth is 1x1.
DILATIONS = (1, 1, 2, 4, 8, 16, 1)
# Channels of the eight convolutions in units of the number of labels.
WIDTHS = {"basic": (1, 1, 1, 1, 1, 1, 1, 1), "large": (2, 2, 4, 8, 16, 32, 32, 1)}


@keras.saving.register_keras_serializable(package="unet")
class GroupIdentity(keras.initializers.Initializer):
    """Kernel that passes every label's channels on to the same label's channels.

    Of c channels, the first c / L belong to the first label and so on. The centre tap between
    channels of one label is L / c' (c' outgoing channels), so that a chain of such layers from L to
    L channels is the identity; all other taps are noise (equations 4 and 5 of the paper).

    Args:
        num_labels: number of labels L; it divides both numbers of channels.
        noise: standard deviation of the other taps, as a share of the centre tap's L / c'.
        seed: of the noise.

    Call arguments:
        shape: ``(k, k, c, c')``, k odd.

    Example:
        >>> ops.convert_to_numpy(GroupIdentity(2)((1, 1, 2, 4)))[0, 0].tolist()
        [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """

    def __init__(self, num_labels: int, noise: float = 0.0, seed: int = 0) -> None:
        self.num_labels = num_labels
        self.noise = noise
        self.seed = seed

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Any:
        size, _, before, after = shape
        scale = self.num_labels / after
        kernel = np.random.default_rng(self.seed).normal(0.0, self.noise * scale, shape)
        label = np.arange(before) * self.num_labels // before
        label_after = np.arange(after) * self.num_labels // after
        centre = kernel[size // 2, size // 2]  # (c, c')
        centre[label[:, None] == label_after] = scale
        return ops.convert_to_tensor(kernel, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {"num_labels": self.num_labels, "noise": self.noise, "seed": self.seed}


def context_module(x: Any, kind: str = "basic", *, seed: int = 0) -> Any:
    """Append the context module to scores of any front end.

    Eight convolutions, seven of them 3x3 with the dilations 1, 1, 2, 4, 8, 16, 1 and followed by a
    ReLU, see 67 x 67 positions. They start as the identity, so that at first the module passes
    positive scores on and sets the others to 0. For 21 labels it has 28,392 parameters (basic) or
    6,803,139 (large).

    Args:
        x: scores ``(B, H, W, L)``, larger = more likely; in the paper one at every 8th pixel.
        kind: ``"basic"``: L channels throughout; ``"large"``: up to 32 L.
        seed: of the small random weights that tell apart the channels of one label (large).

    Returns:
        Refined scores ``(B, H, W, L)``.

    Raises:
        ValueError: if the kind is another.

    Reference:
        - [Multi-Scale Context Aggregation by Dilated Convolutions](
          https://arxiv.org/abs/1511.07122), table 1, equations 4 and 5

    Example:
        >>> scores = keras.Input((None, None, 21))
        >>> keras.Model(scores, context_module(scores)).count_params()
        28392
    """
    check_one_of(WIDTHS, kind=kind)
    num_labels = x.shape[-1]
    # All zeros at once, as many as the seven valid convolutions use up on each side.
    x = layers.ZeroPadding2D(
        sum(DILATIONS), dtype=precise_dtype(), name="context_padding", **FORMAT
    )(x)
    for i, width in enumerate(WIDTHS[kind]):
        last = i == len(DILATIONS)
        x = layers.Conv2D(
            width * num_labels,
            1 if last else 3,
            dilation_rate=1 if last else DILATIONS[i],
            activation=None if last else "relu",
            # The paper asks for noise much smaller than the centre tap, where channels are many.
            kernel_initializer=GroupIdentity(
                num_labels, 0.01 if kind == "large" else 0.0, seed + i
            ),
            dtype=precise_dtype(),  # these are scores still
            name=f"context{i + 1}",
            **FORMAT,
        )(x)
    return x
