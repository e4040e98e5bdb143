"""The networks that predict by themselves, by name; any of them can be a front end of PointRend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import keras

from unet.deconvnet import deconvnet
from unet.deeplabv1 import deeplabv1
from unet.deeplabv2 import deeplabv2
from unet.deeplabv3 import deeplabv3
from unet.dilated import dilated
from unet.fcn import fcn
from unet.fcn_alexnet import fcn32s_alexnet
from unet.gcn import gcn
from unet.liteseg import liteseg
from unet.patch_cnn import patch_cnn
from unet.pspnet import pspnet
from unet.refinenet import refinenet
from unet.segnet import segnet
from unet.unet import unet


class Network(NamedTuple):
    """How to build a network and where it comes from."""

    function: Callable[..., keras.Model]  # (input_shape, num_labels, **options) -> model
    authors: str
    year: int
    url: str  # of the paper


_DILATED = ("Yu, Koltun", 2016, "https://arxiv.org/abs/1511.07122")
_FCN = ("Long et al.", 2015, "https://arxiv.org/abs/1411.4038")

FRONT_ENDS = {
    "deconvnet": Network(deconvnet, "Noh et al.", 2015, "https://arxiv.org/abs/1505.04366"),
    "deeplabv1": Network(deeplabv1, "Chen et al.", 2015, "https://arxiv.org/abs/1412.7062"),
    "deeplabv2": Network(deeplabv2, "Chen et al.", 2018, "https://arxiv.org/abs/1606.00915"),
    "deeplabv3": Network(deeplabv3, "Chen et al.", 2017, "https://arxiv.org/abs/1706.05587"),
    "dilated": Network(dilated, *_DILATED),
    "dilated_context": Network(partial(dilated, context="basic"), *_DILATED),
    "fcn16s": Network(partial(fcn, stride=16), *_FCN),
    "fcn32s": Network(partial(fcn, stride=32), *_FCN),
    "fcn32s_alexnet": Network(fcn32s_alexnet, *_FCN),
    "fcn8s": Network(partial(fcn, stride=8), *_FCN),
    "gcn": Network(gcn, "Peng et al.", 2017, "https://arxiv.org/abs/1703.02719"),
    "liteseg": Network(liteseg, "Emara et al.", 2019, "https://arxiv.org/abs/1912.06683"),
    "patch_cnn": Network(patch_cnn, "Ciresan et al.", 2012, "https://papers.nips.cc/paper/4741"),
    "pspnet": Network(pspnet, "Zhao et al.", 2017, "https://arxiv.org/abs/1612.01105"),
    "refinenet": Network(refinenet, "Lin et al.", 2017, "https://arxiv.org/abs/1611.06612"),
    "segnet": Network(segnet, "Badrinarayanan et al.", 2017, "https://arxiv.org/abs/1511.00561"),
    "unet": Network(unet, "Ronneberger et al.", 2015, "https://arxiv.org/abs/1505.04597"),
}


def function(name: str, networks: Mapping[str, Network]) -> Callable[..., keras.Model]:
    """What builds the network of a name.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in networks:
        raise ValueError(
            f"Unknown network. Expected one of: {', '.join(sorted(networks))}. "
            f"Received: name={name!r}"
        )
    return networks[name].function
