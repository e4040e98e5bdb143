"""Of every network: options that make it small enough for a test, and counts of its parameters."""

from __future__ import annotations

from typing import Any, NamedTuple


class Count(NamedTuple):
    """Parameters of a network at full size, derived from its paper."""

    options: dict[str, Any]  # beside num_channels and num_labels
    num_channels: int
    num_labels: int
    trainable: int
    fixed: int = 0  # not trainable, the running statistics of batch normalisation left out


class Row(NamedTuple):
    """What the tests know about one network."""

    reduced: dict[str, Any]  # options: a few thousand parameters, so that a test takes a second
    counts: list[Count]  # at least one with the options of the paper
    overfit: dict[str, Any] | None = None  # to learn four images by heart; None = as reduced


TABLE = {
    "unet": Row(
        {"width": 4, "depth": 2},
        # By hand from the paper's figure 1: a convolution has (k k C_in + 1) C_out parameters.
        [
            Count({}, 1, 1, 31_030_593),
            Count({}, 1, 2, 31_030_658),
            Count({}, 3, 2, 31_031_810),
            # Scale and shift after each 3x3 convolution: 2 (2 (64 + ... + 512) 2 + 2 1024).
            Count({"normalization": "batch"}, 1, 1, 31_030_593 + 11_776),
        ],
    ),
}
