"""What the table of a run cannot say, found before hours are spent on it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np

import data
from experiments.config import Config

MUCH_PADDING = 1.5  # times the points of the slices themselves


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
    found += _too_narrow(config, test)
    for name, what in (("val", "validation"), ("test", "test")):
        cases = parts.get(name, ())
        # Of copies: cases keep what they have read, and all of a set may not fit into memory.
        if cases and not any(copy.copy(case).foreground().any() for case in cases):
            found.append(
                f"None of the {what} cases ({len(cases)}) has a label but the background: there "
                "is no Dice to compare, nor to choose a CRF by. Are the labels the right files?"
            )
    return found


def _too_narrow(config: Config, test: Sequence[data.Case]) -> list[str]:
    """What is to be said where the band of boundary Dice holds no point of some test cases."""
    nearest = np.array([min(copy.copy(case).spacing) for case in test])
    width = config.boundary_width_mm
    far = nearest[nearest > width]
    if not far.size:
        return []
    ends = " to ".join(dict.fromkeys(f"{end:.3g}" for end in (far.min(), far.max())))
    some = len(far) < len(test)
    return [
        (f"In {len(far)} of {len(test)} test cases neighbouring" if some else "Neighbouring")
        + f" points are {ends} apart (--scale {config.scale:g}), so no point is within {width:g} "
        f"of a boundary: {'their ' if some else ''}boundary Dice and accuracy will be missing. "
        f"--boundary-width-mm {2 * far.max():.3g} counts two points to either side."
    ]


def padding(config: Config, sizes: np.ndarray, shape: Sequence[int]) -> str | None:
    """What is to be said where most of what networks see is padding, else None.

    Args:
        config: of the run.
        sizes: (B, axes) of the slices without padding.
        shape: the size they are padded to.

    Example:
        >>> padding(Config(), np.array([[90, 80]] * 9 + [[512, 512]]), (512, 512))[:52]
        'Slices of 2 sizes are padded to the largest, 512 x 5'
    """
    times = len(sizes) * np.prod(shape) / sizes.prod(axis=1).sum()
    if config.crop or times < MUCH_PADDING:
        return None
    whole = 2**config.depth  # what a U-Net divides by
    side = max(int(np.median(sizes.min(axis=1))) // whole, 1) * whole
    largest = " x ".join(map(str, shape))
    return (
        f"Slices of {len(np.unique(sizes, axis=0))} sizes are padded to the largest, "
        f"{largest}: {times:.1f} times as many points as they have. --crop {side} "
        "trains on random windows of that side, and tests each slice near its own size."
    )
