"""How much of its weights a guess deserves, and why: the rule that keeps it from doing harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from crfrnn.meanfield.parameters import WEIGHTS

# The agreement of labels and image (crfrnn.parameters.agreement) below which a CRF is left out, and
# from which on it gets its full weights: python -m experiments.first_guess fit
LOWEST, FULL = 0.85, 0.9
# Both are higher by this where the image tells little more than nearness: where it leaves more than
# this share of the points wrong that nearness alone would leave wrong.
MORE = 0.08
LEFT = 0.5
# Not so where more than this share of the boundaries is noise, which nearness does not give back:
# noise that somebody adds has three quarters and more, most networks less than a half.
NOISE = 0.5

# Without probabilities there is nothing to agree with.
UNKNOWN = 0.2


class Shown(NamedTuple):
    """What the image tells of the probabilities.

    agreement, nearness: see `crfrnn.parameters.agreement`; roughness: see `measures`; all 0..1.
    """

    agreement: float
    nearness: float
    roughness: float

    @property
    def is_near(self) -> bool:
        """Whether labels come back for the most part because neighbours have the same ones."""
        little = 1 - self.agreement > LEFT * (1 - self.nearness)
        return little and self.roughness < NOISE


# Where there are no probabilities.
NOTHING = Shown(np.nan, np.nan, np.nan)


def trust(shown: Shown, lowest: float = LOWEST, full: float = FULL, more: float = MORE) -> float:
    """Share of the weights that this deserves, 0..1; `NOTHING` gets `UNKNOWN`.

    Example:

    >>> [trust(Shown(*seen)) for seen in ((0.3, 0.2, 0.1), (0.95, 0.2, 0.1), (0.95, 0.94, 0.1))]
    [0.0, 1.0, 0.4]
    """
    if np.isnan(shown.agreement):
        return UNKNOWN
    share = (shown.agreement - more * shown.is_near - lowest) / (full - lowest)
    return round(min(max(share, 0.0), 1.0), 2)


def weighed(guess: Mapping[str, Any], shown: Shown) -> dict[str, Any]:
    """A guess of `formulas` with the weights that it deserves.

    Example:

    >>> shown = Shown((LOWEST + FULL) / 2, nearness=0.4, roughness=0.1)
    >>> weighed({"bilateral_weight": 6.0, "spatial_weight": 2.0}, shown)
    {'bilateral_weight': 3.0, 'spatial_weight': 1.0}
    """
    share = trust(shown)
    return {**guess, **{name: share * guess[name] for name in WEIGHTS}}


def reasons(shown: Sequence[Shown]) -> tuple[str, bool]:
    """What is shown by some images suggests, in words, and whether that is sure.

    Example:

    >>> text, sure = reasons([Shown(0.31, 0.2, 0.9)])
    >>> text.split(": ")[0], sure
    ('The image gives back 31 % of the labels (mean Dice)', False)
    """
    middle = Shown(*np.median(shown, axis=0).tolist())
    if np.isnan(middle.agreement):
        return (
            f"Without probabilities it is not known what the image tells of them: "
            f"{100 * UNKNOWN:.0f} % of the usual weights.",
            False,
        )
    if len(shown) == 1:
        subject, they, median = "The image gives", "it shows", ""
    else:
        subject, they, median = "The images give", "they show", ", median"
    measured = f"{subject} back {100 * middle.agreement:.0f} % of the labels (mean Dice{median})"
    share = float(np.median([trust(one) for one in shown]))
    if share < 1 and middle.is_near:
        measured += f", and nearness alone {100 * middle.nearness:.0f} %"
    if share == 0:
        return f"{measured}: too little of what the probabilities say, so no CRF.", False
    if share < 1:
        return f"{measured}: not all that the probabilities say, so weak weights.", False
    return f"{measured}: {they} what the probabilities say, so a CRF should help.", True
