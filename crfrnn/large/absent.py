"""Labels that are nowhere in a large image, left out as `crfrnn.meanfield.absent` does."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn.meanfield import absent
from crfrnn.meanfield.mixing import mixing
from crfrnn.optional import needed


def present(
    probs: Any, mask: Any, sums: Any, weights: Sequence[Any], compatibility: Any, below: float
) -> np.ndarray:
    """The labels (K,) that are kept: the bound is one of the whole image, which is gone through.

    Args:
        probs: (*S, L) dask array; mask: (*S) of bool, or None.
        sums: (*S, kernels), sums of the rows of each normalised kernel.
        weights: of each kernel.
        compatibility, below: see `crfrnn.refine`, the latter its `ignore_below`.
    """
    da = needed("dask.array", "Images larger than memory", "large")
    attractions = [
        absent.attraction(mixing(weight, compatibility, probs.shape[-1])) for weight in weights
    ]
    counted = probs if mask is None else da.where(mask[..., None], probs, 0)
    axes = tuple(range(probs.ndim - 1))
    highest, largest = da.compute(counted.max(axes), sums.max(axes))
    reach = sum(a * row for a, row in zip(attractions, largest, strict=True))
    return absent.present(highest, np.asarray(reach), below)


def of_labels(weight: Any, labels: np.ndarray) -> Any:
    """A weight, a number or one per label, of those that are kept."""
    return np.asarray(weight)[labels] if np.ndim(weight) else weight


def shares(probs: Any, labels: np.ndarray) -> Any:
    """Of the labels that are kept alone, which then sum to 1."""
    kept = probs.rechunk({probs.ndim - 1: -1})[..., labels].astype(np.float32)
    return kept.map_blocks(lambda block: block / _sums(block), dtype=np.float32)


def restored(kept: Any, probs: Any, mask: Any, labels: np.ndarray) -> Any:
    """Probabilities (*S, L) of all labels, of those (*S, K) that were refined.

    As `crfrnn.meanfield.absent.restored`, to the same bits for all chunks.
    """
    da = needed("dask.array", "Images larger than memory", "large")
    chunks = kept.chunks[:-1]
    given = [kept, probs.rechunk((*chunks, -1))]
    if mask is not None:
        given.append(mask.rechunk(chunks)[..., None])
    return da.map_blocks(
        functools.partial(_restored, labels=labels),
        *given,
        dtype=np.float32,
        chunks=(*chunks, (probs.shape[-1],)),
    )


def _restored(
    kept: np.ndarray, probs: np.ndarray, mask: np.ndarray | None = None, *, labels: np.ndarray
) -> np.ndarray:
    result = probs.astype(np.float32)
    result /= _sums(result)
    result[..., labels] = kept * _sums(result[..., labels])
    return result if mask is None else np.where(mask, result, probs.astype(np.float32))


def _sums(rows: np.ndarray) -> np.ndarray:
    """Label after label: the order of NumPy's own sums depends on the size of the block."""
    return functools.reduce(np.add, np.moveaxis(rows, -1, 0))[..., None]
