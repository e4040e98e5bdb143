"""The formulas of a first guess: from what an image and its probabilities are like to a CRF."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from crfrnn.parameters.measures import USUAL_ROUGHNESS, Statistics

# The same for the contrasts of channels: those of colours may differ by ten.
_ONE_SCALE = 30.0

# An axis whose points are this many times as far apart as the closest ones has no neighbours.
_FAR = 3.0

# theta_beta as a share of the distance that noise alone puts between equal points: at least this,
# or the bilateral kernel sees nothing but noise. Added after the study, out of the reach of what
# it chose: on its five sets the formula's theta_beta is 0.625 of that distance or more.
_ABOVE_NOISE = 0.62

# A bandwidth that spans most of the image tells no two places apart.
_LARGEST_SHARE = 1 / 4


class Constants(NamedTuple):
    """The constants of `first_guess`; see there. alpha and gamma are in points."""

    alpha: float
    alpha_detail: float
    alpha_explained: float
    beta: float
    gamma: float
    bilateral: float
    spatial: float
    weight_rough: float


# The best of 83 trials, to two digits: python -m experiments.first_guess_formulas
CONSTANTS = Constants(0.54, 0.58, 20.0, 0.31, 0.92, 7.4, 1.9, 0.88)


def formulas(
    seen: Statistics, constants: Constants = CONSTANTS, *, spacing: Any = None
) -> dict[str, Any]:
    """The formulas of `first_guess` for one image.

    Args:
        seen: what is known of the image.
        constants: see there.
        spacing: distance of neighbouring points, a number or (S,); default 1.
    """
    reach = (
        constants.alpha
        * seen.detail**-constants.alpha_detail
        * (1 + constants.alpha_explained * seen.explained)
    )
    longest = max(1.0, _LARGEST_SHARE * max(seen.shape))
    sides = np.broadcast_to(1.0 if spacing is None else spacing, len(seen.shape))
    side = float(sides.min())
    # In a volume a kernel has as many points within reach at a smaller bandwidth; but slices that
    # are far apart are out of reach and do not count.
    power = min(1.0, 2 / np.count_nonzero(sides < _FAR * side))
    strength = (seen.roughness / USUAL_ROUGHNESS) ** constants.weight_rough
    return {
        "theta_alpha": side * min(reach**power, longest),
        "theta_beta": np.maximum(
            constants.beta * _scale(seen.contrast), _ABOVE_NOISE * _between_equals(seen)
        ).tolist(),
        "theta_gamma": side * constants.gamma**power,
        "bilateral_weight": constants.bilateral * strength,
        "spatial_weight": constants.spatial * strength,
    }


def _scale(contrast: np.ndarray) -> np.ndarray:
    """The contrast (K,) by which each channel is measured.

    Colours share a scale, on which a faint channel rightly counts less; channels of different
    units have each their own.
    """
    if contrast.max() > _ONE_SCALE * contrast.min():
        return contrast
    return np.full_like(contrast, contrast.mean())


def _between_equals(seen: Statistics) -> np.ndarray:
    """Distance of two points that differ by noise alone, for the channels' theta_beta (K,).

    With channels on one scale it is one number, root mean square. With a theta_beta per channel
    each channel gets an equal share of it.
    """
    variance = 2 * seen.noise**2
    if np.ptp(_scale(seen.contrast)) > 0:
        return np.sqrt(len(variance) * variance)
    return np.full_like(variance, np.sqrt(variance.sum()))
