"""The networks by name: one line each, sorted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import keras

from unet.deconvnet import deconvnet
from unet.fcn import fcn
from unet.gcn import gcn
from unet.patch_cnn import patch_cnn
from unet.refinenet import refinenet
from unet.segnet import segnet
from unet.unet import unet


class Network(NamedTuple):
    """How to build a network and where it comes from."""

    function: Callable[..., keras.Model]  # (input_shape, num_labels, **options) -> model
    authors: str
    year: int
    url: str  # of the paper


_FCN = ("Long et al.", 2015, "https://arxiv.org/abs/1411.4038")

NETWORKS = {
    "deconvnet": Network(deconvnet, "Noh et al.", 2015, "https://arxiv.org/abs/1505.04366"),
    "fcn16s": Network(partial(fcn, stride=16), *_FCN),
    "fcn32s": Network(partial(fcn, stride=32), *_FCN),
    "fcn8s": Network(partial(fcn, stride=8), *_FCN),
    "gcn": Network(gcn, "Peng et al.", 2017, "https://arxiv.org/abs/1703.02719"),
    "patch_cnn": Network(patch_cnn, "Ciresan et al.", 2012, "https://papers.nips.cc/paper/4741"),
    "refinenet": Network(refinenet, "Lin et al.", 2017, "https://arxiv.org/abs/1611.06612"),
    "segnet": Network(segnet, "Badrinarayanan et al.", 2017, "https://arxiv.org/abs/1511.00561"),
    "unet": Network(unet, "Ronneberger et al.", 2015, "https://arxiv.org/abs/1505.04597"),
}
