"""What a trial has found, with a checksum: what was changed in its file since is not believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import optuna

SEAL = "seal"


def keep(
    trial: optuna.trial.Trial, arguments: Mapping[str, Any], scores: np.ndarray, total: float
) -> None:
    """Writes what is to be kept of a trial, but for the total, which ends it.

    Args:
        trial: with a slot.
        arguments: of `refine`. scores: (N, *M), of the cases.
        total: the mean of the scores.
    """
    trial.set_user_attr("arguments", dict(arguments))
    trial.set_user_attr("scores", scores.tolist())
    trial.set_user_attr(SEAL, _checksum(trial.user_attrs, total))


def is_whole(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a complete trial is as `keep` and `tell` have written it."""
    return trial.user_attrs[SEAL] == _checksum(trial.user_attrs, trial.value)


def _checksum(kept: Mapping[str, Any], total: float | None) -> str:
    content = [kept[name] for name in ("slot", "arguments", "scores")]
    text = json.dumps([*content, total], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
