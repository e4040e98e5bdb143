"""CRF-as-RNN for Keras 3: a dense CRF as a layer, and the same CRF offline on NumPy arrays.

Conventions, everywhere in the package: channels last; unaries are logits (larger = more likely),
and so is what a CRF returns, except from `refine`, which works on probabilities; bandwidths (theta)
are standard deviations of Gaussians, in points (or the unit of `spacing`) and in the image's own
intensity units; letters B batch, H W D space, N points, L labels, F dimensions of a position,
C value channels, M lattice vertices, T iterations. The CRF computes in float32.

Importing the package imports neither Keras nor a backend; names that need them load them when they
are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from crfrnn import registration
from crfrnn._version import __version__
from crfrnn.filtering import gaussian_filter
from crfrnn.filtering.native import native_status
from crfrnn.meanfield.mean_field import mean_field
from crfrnn.meanfield.parameters import Parameters
from crfrnn.offline.dense_crf import DenseCRF
from crfrnn.offline.refine import refine
from crfrnn.offline.unaries import probs_from_labels, probs_from_logits

if TYPE_CHECKING:
    from crfrnn.cli.many import refine_many
    from crfrnn.cli.packing import pack, unpack
    from crfrnn.diagnosis.diagnose import diagnose
    from crfrnn.explorer.explore import explore
    from crfrnn.layers.attach import attach
    from crfrnn.layers.crf_rnn import CRFRNN
    from crfrnn.layers.loss import DenseCRFLoss
    from crfrnn.layers.monitor import CRFMonitor, crf_parameters
    from crfrnn.parameters.first_guess import first_guess
    from crfrnn.parameters.presets import presets
    from crfrnn.parameters.search import search

# Found when they are first used: the first five need Keras, the others are seldom needed.
_LAZY = {
    # Both from one module: a saved model may contain layers of either.
    "CRFRNN": "crfrnn.layers.attach",
    "attach": "crfrnn.layers.attach",
    "DenseCRFLoss": "crfrnn.layers.loss",
    "CRFMonitor": "crfrnn.layers.monitor",
    "crf_parameters": "crfrnn.layers.monitor",
    "diagnose": "crfrnn.diagnosis.diagnose",
    "explore": "crfrnn.explorer.explore",
    "first_guess": "crfrnn.parameters.first_guess",
    "pack": "crfrnn.cli.packing",
    "presets": "crfrnn.parameters.presets",
    "refine_many": "crfrnn.cli.many",
    "search": "crfrnn.parameters.search",
    "unpack": "crfrnn.cli.packing",
}

__all__ = [
    "CRFRNN",
    "CRFMonitor",
    "DenseCRF",
    "DenseCRFLoss",
    "Parameters",
    "__version__",
    "attach",
    "crf_parameters",
    "diagnose",
    "explore",
    "first_guess",
    "gaussian_filter",
    "mean_field",
    "native_status",
    "pack",
    "presets",
    "probs_from_labels",
    "probs_from_logits",
    "refine",
    "refine_many",
    "search",
    "unpack",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'crfrnn' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


registration.register()
