"""What networks give, as probabilities at the image's size: bytes, logits, fewer points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn.offline.inputs import SUM_TOLERANCE
from crfrnn.offline.unaries import probs_from_logits
from crfrnn.offline.upsampling import interpolation
from crfrnn.optional import needed


def prepared(probs: Any, grid: Sequence[int], from_logits: bool) -> Any:
    """Probabilities (*S, L) as a dask array of floats.

    What comes out does not depend on the chunks, to the last bit. Of another proportion than a
    whole one they are returned as they are, for others to refuse.

    Args:
        probs: dask array (*s, L): floats, or uint8 for 0..1 in steps of 1/255, or logits, which are
            brought to the image's size before the softmax.
        grid: S, a whole multiple of s along each axis.
        from_logits: whether they are logits.
    """
    small = probs.shape[:-1]
    if len(small) != len(grid) or any(s == 0 or n % s for n, s in zip(grid, small, strict=True)):
        return probs
    factors = tuple(n // s for n, s in zip(grid, small, strict=True))
    if probs.dtype != np.uint8 and not from_logits and set(factors) == {1}:
        return probs
    overlap = needed("dask.array.overlap", "Images larger than memory", "large").overlap
    probs = probs.rechunk({probs.ndim - 1: -1})
    if probs.dtype == np.uint8 and not from_logits:
        probs = probs.map_blocks(_from_bytes, dtype=np.float32)
    if set(factors) != {1}:
        chunks = probs.chunks
        depth = dict.fromkeys(range(len(small)), 1)
        probs = overlap(probs, depth=depth, boundary="nearest")
        larger = [tuple(c * f for c in each) for each, f in zip(chunks, factors, strict=False)]
        probs = probs.map_blocks(
            _upsampled, factors=factors, dtype=np.float32, chunks=(*larger, chunks[-1])
        )
    return probs.map_blocks(probs_from_logits, dtype=np.float32) if from_logits else probs


def _from_bytes(block: np.ndarray) -> np.ndarray:
    """Those that sum to 255 but for rounding then sum to 1; the others are for others to refuse."""
    values = block.astype(np.float32)
    sums = values.sum(-1, keepdims=True)
    rounding = max(0.5 * block.shape[-1], 255 * SUM_TOLERANCE)
    return values / np.where(np.abs(sums - 255) <= rounding, sums, 255)


def _upsampled(block: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    """`offline.upsampling.upsample` of a block, of whose neighbours there is a point on each side.

    Of whole factors the shares are the same for each point, so that no bit of them depends on where
    in the image the block is.
    """
    result = block.astype(np.float32)
    for axis, factor in enumerate(factors):
        rows = np.moveaxis(result, axis, 0)
        count = len(rows) - 2
        # (factor, 3): shares of the point before, of the point itself, of the one after.
        shares = interpolation(3, 3 * factor)[factor : 2 * factor]
        new = np.zeros((count, factor, *rows.shape[1:]), np.float32)
        for place in range(3):
            share = shares[:, place].reshape(-1, *(1,) * (rows.ndim - 1))
            new += share * rows[place : place + count, None]
        result = np.moveaxis(new.reshape(-1, *rows.shape[1:]), 0, axis)
    return result
