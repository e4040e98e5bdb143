"""The networks by name: one line each, sorted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras

from unet.unet import unet


class Network(NamedTuple):
    """How to build a network and where it comes from."""

    function: Callable[..., keras.Model]  # (input_shape, num_labels, **options) -> model
    authors: str
    year: int
    url: str  # of the paper


NETWORKS = {
    "unet": Network(unet, "Ronneberger et al.", 2015, "https://arxiv.org/abs/1505.04597"),
}
