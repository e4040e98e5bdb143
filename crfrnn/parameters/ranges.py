"""The ranges in which a search looks for the five parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from crfrnn import checks
from crfrnn.meanfield.parameters import WEIGHTS

# What the first guess is multiplied by, at least and at most: wide enough for what suits noisy maps
# as well as those of well trained networks, narrow enough for a hundred trials.
FACTORS = {
    "theta_alpha": (1 / 4, 8.0),
    "theta_beta": (1 / 5, 5.0),
    "theta_gamma": (3 / 4, 5.0),
    "bilateral_weight": (0.0, 4.0),
    "spatial_weight": (0.0, 4.0),
}
# Clean maps get a first guess with small weights, but a search should try usual ones too.
_USUAL_WEIGHT = 10.0


def limits_of(
    guess: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of every parameter."""
    unknown = sorted(set(ranges) - set(FACTORS))
    if unknown:
        raise ValueError(f"Expected `ranges` of {', '.join(FACTORS)}. Received {unknown[0]!r}.")
    limits = {}
    for name, factors in FACTORS.items():
        low, high = (level(guess[name]) * factor for factor in factors)
        if name in WEIGHTS:
            high = max(high, _USUAL_WEIGHT)
        pair = checks.array(f"ranges[{name!r}]", ranges.get(name, (low, high)))
        low, high = pair.tolist() if pair.shape == (2,) else (math.nan, math.nan)
        if name in WEIGHTS:
            low = min(low, 0.0)  # no CRF, the first trial, is always in reach
        left_out = name in WEIGHTS and low == high == 0
        ordered = low < high < math.inf and (low > 0 or (name in WEIGHTS and low == 0))
        if not (ordered or left_out):
            raise ValueError(
                f"Expected a range of {name} with 0 <{'=' * (name in WEIGHTS)} lowest < highest"
                f"{', or 0, 0 to leave the kernel out' * (name in WEIGHTS)}. "
                f"Received {ranges.get(name)}."
            )
        limits[name] = (float(low), float(high))
    return limits


def level(value: Any) -> float:
    """A number, or the geometric mean of one per channel."""
    return float(np.exp(np.mean(np.log(value)))) if np.ndim(value) else float(value)


def two_digits(value: float) -> float:
    """Two significant digits: more mean nothing, and equal thetas can share a lattice."""
    return float(f"{value:.2g}")
