"""The settings of each data set where they differ from ``config.Config``.

python -m experiments.compare                                  phantom
python -m experiments.compare --dataset hippocampus --quick    hippocampus, a first look
python -m experiments.compare --dataset hippocampus            hippocampus, the study
"""

from __future__ import annotations

from typing import Any

_FULL: dict[str, dict[str, Any]] = {
    "phantom": {},
    "hippocampus": {
        "seeds": 6,  # what the pilot study needed to see a gain of 0.7 Dice points
        "width": 16,
        "depth": 4,
        "pretrain_steps": 2000,
        "further_steps": 1000,
        "checkpoint_steps": 100,
        "search_trials": 80,
    },
}

_QUICK: dict[str, dict[str, Any]] = {
    "phantom": {"seeds": 2, "pretrain_steps": 100, "further_steps": 50, "search_trials": 20},
    "hippocampus": {
        "seeds": 4,
        "train_cases": 15,
        "validation_cases": 10,
        "test_cases": 20,
        "width": 12,
        "depth": 3,
        "pretrain_steps": 600,
        "further_steps": 300,
        "search_trials": 40,
    },
}


def preset(dataset: str, quick: bool = False) -> dict[str, Any]:
    """Keys of ``config.Config`` for a data set; other data get the hippocampus settings.

    Args:
        dataset: a name of ``data.names()`` or a folder.
        quick: fewer seeds, cases and updates: minutes instead of hours, and wider intervals.

    Example:
        >>> preset("hippocampus", quick=True)["train_cases"]
        15
    """
    settings = {**_FULL.get(dataset, _FULL["hippocampus"])}
    if quick:
        settings |= _QUICK.get(dataset, _QUICK["hippocampus"])
    return {"dataset": dataset, **settings}
