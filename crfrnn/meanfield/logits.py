"""Unaries as the iteration takes them: finite float32 logits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crfrnn import arrays, checks
from crfrnn.arrays import namespace

# Infinite unaries would turn into NaN where a maximum is subtracted (inf - inf). float32 ends at
# 3.4e38: differences of two of these and added messages do not overflow.
LARGEST = 1e38


def flat_logits(unaries: Any, ops: Any) -> Any:
    """Unaries (B, *S, L) as finite float32 logits (B, N, L); L = 1 becomes the labels (0, x)."""
    batch, *grid, _ = ops.shape(unaries)
    x = ops.cast(unaries, "float32")
    if ops is arrays:
        checks.no_nan("unaries", x)
    if unaries.shape[-1] == 1:
        x = ops.concatenate([ops.zeros_like(x), x], axis=-1)
    labels = max(unaries.shape[-1], 2)
    return ops.clip(ops.reshape(x, (batch, math.prod(grid), labels)), -LARGEST, LARGEST)


def logits_from_probabilities(probabilities: Any) -> Any:
    """Logits of probabilities (B, *S, L) that sum to 1 over L, or of one sigmoid channel (L = 1).

    Returns float32 logits of the same shape, finite: probabilities are cut at 1e-7, which is about
    the distance of float32 numbers just below 1.
    """
    ops = namespace(probabilities)
    p = ops.clip(ops.cast(probabilities, "float32"), 1e-7, 1.0 - 1e-7)
    if probabilities.shape[-1] == 1:
        return ops.log(p) - ops.log(1.0 - p)
    return np.log(p, out=p) if ops is arrays else ops.log(p)


def bounded(logits: np.ndarray) -> np.ndarray:
    """Logits as C-contiguous float32 within +-1e38: infinite ones forbid or force a label."""
    # Cut before the cast: beyond float32 it would overflow, with a warning.
    wide = logits.astype(np.promote_types(logits.dtype, np.float32), copy=False)
    return np.ascontiguousarray(np.clip(wide, -LARGEST, LARGEST), np.float32)
