"""The settings that an explorer starts with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crfrnn import checks
from crfrnn.meanfield.parameters import NAMES, declared

# Where nothing is given and the guess leaves the CRF out: pydensecrf's 80 points and 13 of 255 for
# photographs, as shares of the longer side and of the intensities.
_ALPHA, _BETA = 0.1, 13 / 255
_START = {"theta_gamma": 3.0, "bilateral_weight": 10.0, "spatial_weight": 3.0}
_MORE = {"num_iterations": 5, "normalization": "symmetric"}
# The page shows all labels; what it saves and copies leaves out those that the user leaves out.
_CARRIED = ("ignore_below",)


def usual(longest: float, extent: float) -> dict[str, Any]:
    """Settings of a picture of which nothing is known.

    Args:
        longest: its longer side, in the unit of its spacing.
        extent: how far its intensities reach.

    Example:

    >>> usual(480, 255)["theta_alpha"]
    48.0
    """
    thetas = {"theta_alpha": _ALPHA * longest, "theta_beta": _BETA * extent}
    start = {**thetas, **_START, **_MORE}
    return {name: start[name] for name in (*NAMES, *_MORE)}


def numbers(crf: Mapping[str, Any], sizes: Any) -> dict[str, Any]:
    """The arguments of `refine` that a page has, checked."""
    known = (*NAMES, *_MORE, *_CARRIED)
    if unknown := sorted(set(crf) - set(known)):
        raise ValueError(
            f"Expected arguments of refine that the explorer has, {', '.join(known)}. "
            f"Received {unknown[0]!r}: leave it out."
        )
    checks.fit({name: declared(*_MORE, *_CARRIED)[name] for name in crf}, dict(crf), sizes)
    for name, value in crf.items():
        if np.ndim(value):
            raise ValueError(
                f"Expected one number for {name}: the page has one slider for it, whereas `refine` "
                f"takes several. Received {value!r}."
            )
    return {n: value if isinstance(value, (int, str)) else float(value) for n, value in crf.items()}
