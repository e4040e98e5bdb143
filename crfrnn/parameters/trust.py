"""How much of its weights a guess deserves, and why: the rule that keeps it from doing harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crfrnn.meanfield.parameters import WEIGHTS

# The agreement of labels and image (crfrnn.parameters.agreement) below which a CRF is left out, and
# from which on it gets its full weights: python -m experiments.first_guess fit
LOWEST, FULL = 0.85, 0.9
# Both are higher by this where the image tells little more than nearness: where it leaves more than
# this share of the points wrong that nearness alone would leave wrong.
MORE = 0.08
LEFT = 0.5

# Without probabilities there is nothing to agree with.
UNKNOWN = 0.2


def trust(agreement: float, nearness: float) -> float:
    """Share of the weights for such an agreement, 0..1; NaN, when none is known, gets `UNKNOWN`.

    Args:
        agreement, nearness: see the functions of these names.

    Example:

    >>> trust(0.3, 0.2), trust(0.95, 0.2), trust(0.95, 0.94)
    (0.0, 1.0, 0.4)
    """
    if np.isnan(agreement):
        return UNKNOWN
    share = (agreement - MORE * is_near(agreement, nearness) - LOWEST) / (FULL - LOWEST)
    return round(min(max(share, 0.0), 1.0), 2)


def is_near(agreement: float, nearness: float) -> bool:
    """Whether the labels come back for the most part because neighbours have the same ones."""
    return 1 - agreement > LEFT * (1 - nearness)


def weighed(guess: Mapping[str, Any], agreement: float, nearness: float) -> dict[str, Any]:
    """A guess of `formulas` with the weights that it deserves.

    Example:

    >>> weighed({"bilateral_weight": 6.0, "spatial_weight": 2.0}, (LOWEST + FULL) / 2, 0.4)
    {'bilateral_weight': 3.0, 'spatial_weight': 1.0}
    """
    share = trust(agreement, nearness)
    return {**guess, **{name: share * guess[name] for name in WEIGHTS}}


def reasons(seen: Sequence[tuple[float, float]]) -> tuple[str, bool]:
    """What agreement and nearness of some images suggest, in words, and whether that is sure.

    Example:

    >>> text, sure = reasons([(0.31, 0.2)])
    >>> text.split(": ")[0], sure
    ('The image gives back 31 % of the labels (mean Dice)', False)
    """
    middle, near = np.median(seen, axis=0).tolist()
    if np.isnan(middle):
        return (
            f"Without probabilities it is not known what the image tells of them: "
            f"{100 * UNKNOWN:.0f} % of the usual weights.",
            False,
        )
    if len(seen) == 1:
        subject, they, median = "The image gives", "it shows", ""
    else:
        subject, they, median = "The images give", "they show", ", median"
    measured = f"{subject} back {100 * middle:.0f} % of the labels (mean Dice{median})"
    share = float(np.median([trust(*pair) for pair in seen]))
    if share < 1 and is_near(middle, near):
        measured += f", and nearness alone {100 * near:.0f} %"
    if share == 0:
        return f"{measured}: too little of what the probabilities say, so no CRF.", False
    if share < 1:
        return f"{measured}: not all that the probabilities say, so weak weights.", False
    return f"{measured}: {they} what the probabilities say, so a CRF should help.", True
