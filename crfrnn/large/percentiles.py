"""Percentiles of images larger than memory, exact: by counting the digits of their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crfrnn.offline.intensities import PERCENTILES, between, check_finite
from crfrnn.optional import needed

_BITS = 16  # of a digit: values of eight or sixteen bits are gone through once, of 32 twice


def normalised(image: Any, mask: Any = None) -> Any:
    """`offline.intensities.normalise` of a dask array, to the same bits; 0 outside of the mask.

    Args:
        image: (*S, K), gone through here once or twice (four times if of 64 bits).
        mask: (*S) of bool, or None.

    Returns:
        (*S, K) float32, lazy.

    Raises:
        ValueError: a value inside of the mask that is not finite, or no point there.

    Example:

    >>> import dask.array as da
    >>> values = np.random.default_rng(0).integers(0, 999, (30, 40, 1))
    >>> from crfrnn.offline.intensities import normalise
    >>> bool((normalised(da.from_array(values, chunks=16)).compute() == normalise(values)).all())
    True
    """
    da = needed("dask.array", "Images larger than memory", "large")
    image = image.rechunk({image.ndim - 1: -1})
    given = [image]
    if mask is not None:
        given.append(mask.rechunk(image.chunks[:-1])[..., None])
    low, high = _percentiles(given, PERCENTILES)
    return da.map_blocks(_between, *given, dtype=np.float32, chunks=image.chunks, ends=(low, high))


def _between(block: np.ndarray, mask: np.ndarray | None = None, *, ends: Any) -> np.ndarray:
    if mask is None:
        return between(block, *ends)
    result = np.zeros(block.shape, np.float32)
    result[mask[..., 0]] = between(block[mask[..., 0]], *ends)
    return result


def _percentiles(given: Sequence[Any], percentiles: Sequence[float]) -> np.ndarray:
    """(P, K) float64, those of `numpy.percentile`, each of which lies between two of the values.

    The values are found digit by digit: of each digit it is counted how often it has which value,
    among the values of the image that agree with the one looked for in all digits before it.
    """
    dtype = given[0].dtype.newbyteorder("=")
    width = min(8 * dtype.itemsize, _BITS)
    channels = range(given[0].shape[-1])
    found = [np.zeros(2 * len(percentiles), np.uint64) for _ in channels]  # its digits so far
    ranks: Any = None  # (channels, values), among those that agree so far
    for place in reversed(range(0, 8 * dtype.itemsize, width)):
        sought = [np.unique(each) for each in found]
        counts = _counted(given, sought, place, width)
        if ranks is None:
            count = int(counts[0].sum())
            if not count:
                raise ValueError("Expected an image with some point that counts. Received none.")
            ideal = np.true_divide(percentiles, 100) * (count - 1)
            below = np.floor(ideal)
            ends = np.stack([below, np.minimum(below + 1, count - 1)], -1).ravel()
            ranks = [ends.astype(np.int64) for _ in channels]
        for k in channels:
            sums = np.cumsum(counts[k], -1)[np.searchsorted(sought[k], found[k])]
            digits = (sums <= ranks[k][:, None]).sum(-1)
            ranks[k] -= (sums - counts[k][np.searchsorted(sought[k], found[k])])[
                np.arange(len(digits)), digits
            ]
            found[k] = found[k] << np.uint64(width) | digits.astype(np.uint64)
    values = np.array([_values(each, dtype) for each in found])  # (K, 2 P)
    first, second = values[:, ::2].T, values[:, 1::2].T
    share = (ideal - below)[:, None]
    # In these two forms, as NumPy has it: to the same bits.
    step = second - first
    return np.where(share < 0.5, first + step * share, second - step * (1 - share))


def _counted(
    given: Sequence[Any], sought: Sequence[np.ndarray], place: int, width: int
) -> list[np.ndarray]:
    """Of each channel (P, 2^width): how often which digit follows the P beginnings sought."""
    delayed = needed("dask", "Images larger than memory", "large").delayed
    blocks = zip(*(array.to_delayed().ravel() for array in given), strict=True)
    parts = [delayed(_counts)(*each, sought=sought, place=place, width=width) for each in blocks]
    while len(parts) > 1:  # a few at a time, so that few are in memory
        parts = [delayed(_added)(parts[i : i + 8]) for i in range(0, len(parts), 8)]
    return parts[0].compute()


def _counts(
    block: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    sought: Sequence[np.ndarray],
    place: int,
    width: int,
) -> list[np.ndarray]:
    rows = block.reshape(-1, block.shape[-1]) if mask is None else block[mask[..., 0]]
    check_finite(rows)
    keys = _keys(rows)
    result = []
    for k, beginnings in enumerate(sought):
        digits = keys[:, k] >> np.uint64(place)
        before = digits >> np.uint64(width)
        digits &= np.uint64(2**width - 1)
        each = [digits[before == beginning] for beginning in beginnings]
        result.append(
            np.stack([np.bincount(one.astype(np.int64), minlength=2**width) for one in each])
        )
    return result


def _added(parts: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    return [np.sum(each, axis=0) for each in zip(*parts, strict=True)]


def _keys(values: np.ndarray) -> np.ndarray:
    """Whole numbers without sign, uint64, in the order of the values."""
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    bits = 8 * values.dtype.itemsize
    raw = values.view(f"u{values.dtype.itemsize}").astype(np.uint64)
    if values.dtype.kind in "bu":
        return raw
    sign = np.uint64(1 << (bits - 1))
    if values.dtype.kind == "i":
        return raw ^ sign
    return np.where(raw & sign, raw ^ np.uint64((1 << bits) - 1), raw | sign)


def _values(keys: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The values of `_keys`, float64."""
    bits = 8 * dtype.itemsize
    sign = np.uint64(1 << (bits - 1))
    if dtype.kind == "i":
        keys = keys ^ sign
    elif dtype.kind == "f":
        keys = np.where(keys & sign, keys ^ sign, keys ^ np.uint64((1 << bits) - 1))
    return keys.astype(f"u{dtype.itemsize}").view(dtype).astype(np.float64)
