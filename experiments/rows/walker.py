"""The random walker: labels that spread from the points where a network is sure."""

from __future__ import annotations

import itertools
from typing import ClassVar

from experiments.rows.filtered import Filtered
from experiments.train.walks import walked


class Walker(Filtered, kind="walker"):
    """Another row's confident points keep their labels; the rest get those that reach them."""

    packages: ClassVar = {"skimage": "scikit-image"}

    TRIED = tuple(
        {"confidence": confidence, "beta": beta}
        for confidence, beta in itertools.product((0.8, 0.95, 0.99), (30.0, 130.0, 600.0))
    )
    changed = staticmethod(walked)
