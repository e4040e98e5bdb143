"""What the table of a run cannot say, found before hours are spent on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import data
from experiments.config import Config


def doubts(config: Config, parts: Mapping[str, Sequence[data.Case]]) -> list[str]:
    """A sentence for each number that will be missing, with the reason and what to do.

    Args:
        config: of the run.
        parts: "train", "val" and "test" cases.

    Example:
        >>> doubts(Config(boundary_width_mm=0.5), {"test": data.phantom(4, (12, 10))})[0][:53]
        'Neighbouring points are 1 apart (--scale 1), so no po'
    """
    found, test = [], parts["test"]
    if len({case.group for case in test}) < 2:
        found.append(
            f"All test cases ({len(test)}) are of one group, {test[0].group!r}, and cases of one "
            "group are not independent: no interval over groups, nor over both, can be given. More "
            "groups (group in dataset.json) or more --test-cases give them."
        )
    if config.seeds < 2:
        found.append(
            "One seed tells nothing about the noise of training: no interval over seeds, nor over "
            "both, can be given. --seeds 2 or more gives them."
        )
    nearest, width = min(test[0].spacing), config.boundary_width_mm
    if nearest > width:
        found.append(
            f"Neighbouring points are {nearest:.3g} apart (--scale {config.scale:g}), so no point "
            f"is within {width:g} of a boundary: boundary Dice and accuracy will be missing. "
            f"--boundary-width-mm {2 * nearest:.3g} counts two points to either side."
        )
    return found
