"""Splits by group: deterministic, nested, and without leaks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from .case import Case

VAL, TEST = 0.15, 0.25


def split(
    cases: Sequence[Case],
    *,
    train: int | float | None = None,
    val: int | float = VAL,
    test: int | float = TEST,
    seed: int = 0,
    subset: int = 0,
    fold: tuple[int, int] | None = None,
) -> dict[str, list[Case]]:
    """Divide cases into training, validation and test cases, never dividing a group.

    Groups are ordered by SHA-256 of "seed:group", so the result depends neither on the order of
    the cases, nor on the machine, nor on a library's random generator, and a case added later
    moves few others. Test takes whole groups from the front of that order until it has at least
    the wanted number of cases, validation continues behind it, training gets the rest.

    Args:
        cases: the cases of one data set.
        train: number (int) or share of all cases (float in [0, 1]) for training, None = all that
            remain. Exactly this many are returned (surplus cases of the last group are left
            unused), and a smaller choice is a subset of a larger one, with the same val and test.
        val, test: numbers (int) or shares (float). Whole groups are taken, so there may be a few
            more than asked.
        seed: chooses test and validation.
        subset: chooses the training cases among those that remain, for repeated small-sample runs
            on the same test cases.
        fold: (i, n) for cross-validation: the order of groups is cut into n parts with about as
            many cases each, and the i-th, 0..n-1, is for test, whatever ``test`` says; validation
            follows behind it, from the front again after the end. None = no parts.

    Returns:
        {"train": [...], "val": [...], "test": [...]}; each in the order of the groups' hashes, the
        cases of one group in the order given.

    Raises:
        ValueError: a share outside [0, 1], a negative number, more cases wanted than there are, or
            parts without any group.

    Example:
        >>> import data
        >>> parts = data.split(data.phantom(20), train=5)
        >>> {name: len(part) for name, part in parts.items()}
        {'train': 5, 'val': 3, 'test': 5}
    """
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)

    order = _ordered(groups, f"{seed}")
    if fold is None:
        test_groups, rest = _take(order, groups, _count(test, cases, "test"))
    else:
        test_groups, rest = _part(order, groups, fold)
    val_groups, rest = _take(rest, groups, _count(val, cases, "val"))
    pool = [c for g in _ordered(rest, f"{seed}:{subset}") for c in groups[g]]
    wanted = len(pool) if train is None else _count(train, cases, "train")
    if wanted > len(pool):
        raise ValueError(
            f"train={train} asks for {wanted} cases, but {len(pool)} of {len(cases)} remain "
            f"outside val and test; lower train, val or test."
        )
    return {
        "train": pool[:wanted],
        "val": [c for g in val_groups for c in groups[g]],
        "test": [c for g in test_groups for c in groups[g]],
    }


def _count(wanted: int | float, cases: Sequence[Case], name: str) -> int:
    limit = 1.0 if isinstance(wanted, float) else len(cases)
    if not 0 <= wanted <= limit:
        raise ValueError(
            f"{name} must be a number of cases from 0 to {len(cases)} (int) or a share in "
            f"[0, 1] (float); received {wanted!r}."
        )
    return round(wanted * len(cases)) if isinstance(wanted, float) else wanted


def _ordered(groups: Iterable[str], salt: str) -> list[str]:
    return sorted(groups, key=lambda g: hashlib.sha256(f"{salt}:{g}".encode()).digest())


def _part(
    order: list[str], groups: dict[str, list[Case]], fold: tuple[int, int]
) -> tuple[list[str], list[str]]:
    """The groups of one part, and the others, those behind it first."""
    index, number = fold
    if not 0 <= index < number:
        raise ValueError(f"fold must be (i, n) with 0 <= i < n; received {fold}.")
    sizes = np.array([len(groups[group]) for group in order])
    # By where the middle of a group lies among all cases, so that no part is much larger.
    middles = 2 * np.cumsum(sizes) - sizes
    parts = middles * number // (2 * max(sizes.sum(), 1))
    if empty := {*range(number)} - {*parts.tolist()}:
        raise ValueError(
            f"fold={fold}: of {number} parts of {len(order)} groups, {len(empty)} would be empty; "
            f"ask for fewer parts."
        )
    start, stop = np.searchsorted(parts, [index, index + 1])
    return order[start:stop], order[stop:] + order[:start]


def _take(
    order: list[str], groups: dict[str, list[Case]], wanted: int
) -> tuple[list[str], list[str]]:
    taken = count = 0
    while count < wanted:
        if taken == len(order):
            raise ValueError(
                f"val and test ask for more cases than there are in {len(groups)} groups; "
                f"lower val or test."
            )
        count += len(groups[order[taken]])
        taken += 1
    return order[:taken], order[taken:]
