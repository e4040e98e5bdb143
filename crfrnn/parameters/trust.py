"""How much of its weights a guess deserves, and why: the rule that keeps it from doing harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crfrnn.meanfield.parameters import WEIGHTS

# The agreement of labels and image (crfrnn.parameters.agreement) below which a CRF is left out, and
# from which on it gets its full weights: python -m experiments.first_guess fit
LOWEST, FULL = 0.85, 0.9

# Without probabilities there is nothing to agree with.
UNKNOWN = 0.2


def trust(agreement: float) -> float:
    """Share of the weights for such an agreement, 0..1; NaN, when none is known, gets `UNKNOWN`.

    Example:

    >>> trust(0.3), trust(0.95)
    (0.0, 1.0)
    """
    if np.isnan(agreement):
        return UNKNOWN
    share = (agreement - LOWEST) / (FULL - LOWEST)
    return round(min(max(share, 0.0), 1.0), 2)


def weighed(guess: Mapping[str, Any], agreement: float) -> dict[str, Any]:
    """A guess of `formulas` with the weights that it deserves.

    Example:

    >>> weighed({"bilateral_weight": 6.0, "spatial_weight": 2.0}, (LOWEST + FULL) / 2)
    {'bilateral_weight': 3.0, 'spatial_weight': 1.0}
    """
    return {**guess, **{name: trust(agreement) * guess[name] for name in WEIGHTS}}


def reasons(agreements: Sequence[float]) -> tuple[str, bool]:
    """What the agreements of some images suggest, in words, and whether that is sure.

    Example:

    >>> text, sure = reasons([0.31])
    >>> text.split(": ")[0], sure
    ('The image gives back 31 % of the labels (mean Dice)', False)
    """
    middle = float(np.median(agreements))
    if np.isnan(middle):
        return (
            f"Without probabilities it is not known what the image tells of them: "
            f"{100 * UNKNOWN:.0f} % of the usual weights.",
            False,
        )
    if len(agreements) == 1:
        subject, they, median = "The image gives", "it shows", ""
    else:
        subject, they, median = "The images give", "they show", ", median"
    measured = f"{subject} back {100 * middle:.0f} % of the labels (mean Dice{median})"
    share = float(np.median([trust(a) for a in agreements]))
    if share == 0:
        return f"{measured}: too little of what the probabilities say, so no CRF.", False
    if share < 1:
        return f"{measured}: not all that the probabilities say, so weak weights.", False
    return f"{measured}: {they} what the probabilities say, so a CRF should help.", True
